using PhoneBill.Contracts;
using PhoneBill.Kos;

var builder = PhoneBillHost.CreateBare(args);
builder.Services.AddSingleton<LegacyLedger>();
builder.Services.AddSingleton<LegacyPace>();

var app = builder.BuildBare();
app.MapGet("/health", () => "Healthy");
app.MapLegacy();
app.MapLegacyAdmin();
await app.RunAsync();
