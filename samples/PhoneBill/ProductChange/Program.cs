using Onggi.AspNetCore;
using PhoneBill.Contracts;
using PhoneBill.ProductChange;

var builder = PhoneBillHost.Create(args, "product-change");
builder.Services.AddSingleton<ProductChanges>();
builder.Services.AddAvailableProductsWarmUp();

// Another product costs the customer money: here a token that may have been revoked is not taken, and while Redis is away the answer is 503.
builder.Services.Configure<OnggiBearerOptions>(OnggiBearerDefaults.AuthenticationScheme, bearer => bearer.RequireConfirmed = true);

var app = await builder.BuildPhoneBillAsync();
app.MapProducts();
app.MapProductChange();
await app.RunAsync();
