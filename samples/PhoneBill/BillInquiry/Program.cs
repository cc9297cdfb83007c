using PhoneBill.BillInquiry;
using PhoneBill.Contracts;

var builder = PhoneBillHost.Create(args, "bill-inquiry");
builder.Services.AddSingleton<BillReader>();
builder.Services.AddConfigWarmUp();

var app = await builder.BuildPhoneBillAsync();
app.MapBills();
app.MapConfig();
await app.RunAsync();
