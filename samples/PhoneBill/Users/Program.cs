using PhoneBill.Contracts;
using PhoneBill.Users;

var builder = PhoneBillHost.Create(args, "users");
builder.Services.AddSingleton<UserChanges>();

var app = await builder.BuildPhoneBillAsync();
app.MapUsers();
await app.RunAsync();
