using PhoneBill.Auth;
using PhoneBill.Contracts;

var builder = PhoneBillHost.Create(args, "auth");
builder.Services.AddSingleton<PermissionChanges>();
builder.Services.AddSingleton<Logins>();
builder.Services.AddHostedService<UserRemovals>();
builder.Services.AddLogins();
builder.Services.AddAuthWarmUps();

var app = await builder.BuildPhoneBillAsync();
app.UseOnggiLimits();
app.MapLogin();
app.MapSessions();
app.MapPermissions();
app.MapCodes();
await app.RunAsync();
