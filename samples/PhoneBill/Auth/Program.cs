using PhoneBill.Auth;
using PhoneBill.Contracts;

var builder = PhoneBillHost.Create(args, "auth");
builder.Services.AddSingleton<PermissionChanges>();
builder.Services.AddAuthWarmUps();

var app = await builder.BuildPhoneBillAsync();
app.MapLogin();
app.MapPermissions();
app.MapCodes();
await app.RunAsync();
