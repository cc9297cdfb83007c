using Onggi.Keys;

namespace Onggi.Tests.Keys;

/// <summary>A small catalog that has one of everything.</summary>
internal static class SampleCatalogs
{
    public const string Small = """
        // comments are fine
        {
          "system": "shop",
          "environment": "dev",
          "defaults": { "ttl": "20m", "jitter": "10%" },
          "memory": { "limit": "512mb" },
          "services": { "billing": { "ttl": "8h" }, "front": {} },
          "events": {
            "customer.updated": {
              "payload": "Shop.CustomerUpdated",
              "keys": {
                "customer": { "lineNumber": "data.lineNumber" },
                "bill": { "lineNumber": "data.lineNumber", "month": "data.months" }
              }
            },
            "codes.changed": {
              "payload": "System.Text.Json.JsonElement",
              "channel": "events:billing:codes",
              "keys": { "codes": { "group": "=all" }, "customer": { "lineNumber": "metadata.line" } }
            },
          },
          "families": {
            "customer": {
              "key": "customer:{lineNumber}", "value": "Shop.Customer", "owner": "billing", "readers": ["front"],
              "personal": ["lineNumber"], "ttl": "4h", "grace": "10m", "share": "30%",
              "invalidatedBy": ["customer.updated", "codes.changed"]
            },
            "bill": {
              "key": "bill:{lineNumber}:{month}", "value": "Shop.Bill", "owner": "billing", "personal": ["lineNumber"],
              "invalidatedBy": ["customer.updated"]
            },
            "codes": { "key": "codes:{group}", "value": "string", "invalidatedBy": ["codes.changed"] },
            "session": {
              "key": "billing:session:{sessionId}", "kind": "session", "owner": "billing", "idle": "30m", "absolute": "24h", "share": "40%"
            }
          },
          "environments": {
            "production": {
              "prefix": "shop:{environment}:",
              "personalIdentifiers": "hmac",
              "memory": { "limit": "4gb" },
              "services": { "billing": { "ttl": "6h" } },
              "families": { "customer": { "ttl": "2h" } }
            }
          }
        }
        """;

    public static KeyFamily CustomerFamily { get; } = new("customer", "lineNumber");

    public static KeyFamily BillFamily { get; } = new("bill", "lineNumber", "month");

    public static KeyFamily CodesFamily { get; } = new("codes", "group");

    public static EntryKey Customer(string lineNumber) => new(CustomerFamily, lineNumber);

    public static EntryKey Bill(string lineNumber, string month) => new(BillFamily, lineNumber, month);
}
