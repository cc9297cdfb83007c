using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using Onggi.Keys;

namespace Onggi.Tests.Caching;

public sealed record Customer(string LineNumber, string Name, int Age = 0, string? Nickname = null);

public sealed record Line(string Number, string? Owner);

public sealed class Basket
{
    public List<string> Things { get; set; } = [];
}

[ImmutableObject(true)]
public sealed record Tariff(string Code);

[JsonDerivedType(typeof(Card), "card")]
[JsonDerivedType(typeof(Transfer), "transfer")]
public abstract record Payment(decimal Amount);

public sealed record Card(decimal Amount, string Brand) : Payment(Amount);

public sealed record Transfer(decimal Amount, string Bank) : Payment(Amount);

public sealed record Loop(string Name)
{
    public Loop? Next { get; set; }
}

public sealed record Unregistered(int Number);

public sealed class Stubborn
{
    public Stubborn(int number) => Number = number >= 0 ? number : throw new FormatException("secret payload");

    public int Number { get; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Customer))]
[JsonSerializable(typeof(Line))]
[JsonSerializable(typeof(Basket))]
[JsonSerializable(typeof(Tariff))]
[JsonSerializable(typeof(Payment))]
[JsonSerializable(typeof(Loop))]
[JsonSerializable(typeof(Stubborn))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(int?))]
public sealed partial class CacheTestJson : JsonSerializerContext;

/// <summary>A catalog with a family for each kind of value, and keys into it as generated code makes them.</summary>
internal static class TestKeys
{
    public const string CatalogJson = """
        {
          "system": "shop", "environment": "test", "prefix": "{environment}:",
          "defaults": { "ttl": "30m", "jitter": "0%", "negativeTtl": "20s" },
          "services": { "shop": {} },
          "events": {
            "customer.updated": { "keys": { "customer": { "lineNumber": "data.lineNumber" } } },
            "basket.emptied": { "keys": { "basket": { "id": "metadata.basket" } } }
          },
          "families": {
            "customer": { "key": "customer:{lineNumber}", "kind": "cache", "value": "Onggi.Tests.Caching.Customer", "invalidatedBy": ["customer.updated"] },
            "basket": { "key": "basket:{id}", "kind": "cache", "ttl": "10m", "value": "Onggi.Tests.Caching.Basket", "invalidatedBy": ["basket.emptied"] },
            "text": { "key": "text:{id}", "kind": "cache", "value": "string" },
            "number": { "key": "number:{id}", "kind": "cache", "value": "int" },
            "payment": { "key": "payment:{id}", "kind": "cache", "value": "Onggi.Tests.Caching.Payment" },
            "session": { "key": "shop:session:{id}", "kind": "session", "owner": "shop", "idle": "30m", "absolute": "24h" }
          }
        }
        """;

    private static readonly KeyFamily CustomerFamily = new("customer", "lineNumber");
    private static readonly KeyFamily BasketFamily = new("basket", "id");
    private static readonly KeyFamily TextFamily = new("text", "id");
    private static readonly KeyFamily NumberFamily = new("number", "id");
    private static readonly KeyFamily PaymentFamily = new("payment", "id");

    public static CacheKey<Customer> Customer(string lineNumber) => new(new EntryKey(CustomerFamily, lineNumber));

    public static CacheKey<Basket> Basket(string id) => new(new EntryKey(BasketFamily, id));

    public static CacheKey<string> Text(string id) => new(new EntryKey(TextFamily, id));

    public static CacheKey<int> Number(string id) => new(new EntryKey(NumberFamily, id));

    public static CacheKey<Payment> Payment(string id) => new(new EntryKey(PaymentFamily, id));

    public static CacheKey<T> As<T>(string id) => new(new EntryKey(TextFamily, id));
}
