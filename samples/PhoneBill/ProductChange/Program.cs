using PhoneBill.Contracts;
using PhoneBill.ProductChange;

var builder = PhoneBillHost.Create(args, "product-change");
builder.Services.AddSingleton<ProductChanges>();
builder.Services.AddAvailableProductsWarmUp();

var app = await builder.BuildPhoneBillAsync();
app.MapProducts();
app.MapProductChange();
await app.RunAsync();
