using System.Text.Json;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Onggi.Events;
using Onggi.Keys;
using static Onggi.Tests.Generators.GeneratorHarness;

namespace Onggi.Tests.Generators;

public class KeyspaceGeneratorTests
{
    private const string Types = """
        namespace Shop
        {
            public sealed record Customer(string Name);
            public sealed record Bill(decimal Total);
            public sealed record CustomerUpdated(string LineNumber);
            public static class Outer { public sealed record Inner(int Value); }
        }
        """;

    private const string Json = """
        // the shop's keys
        {
          "system": "shop",
          "services": { "billing": { "ttl": "8h" } },
          "events": {
            "customer.updated": {
              "description": "A customer's <name> & more.",
              "payload": "Shop.CustomerUpdated",
              "keys": { "customer": { "lineNumber": "data.lineNumber" } }
            },
            "raw.thing_seen": { "payload": "System.Text.Json.JsonElement" }
          },
          "families": {
            "customer": {
              "description": "Who \"owns\" a line.",
              "key": "customer:{lineNumber}", "value": "Shop.Customer", "owner": "billing", "ttl": "4h", "personal": ["lineNumber"],
              "invalidatedBy": ["customer.updated"]
            },
            "bill_of_month": { "key": "bill:{lineNumber}:{month}", "value": "System.Collections.Generic.IReadOnlyList<Shop.Bill>" },
            "event": { "key": "event:{class}:{event}:{Id}", "value": "int[]" },
            "nested": { "key": "nested:{id}", "value": "Shop.Outer.Inner?" },
            "invoice_run": { "kind": "lock", "key": "locks:invoice_run:{month}", "ttl": "30s" },
            "login": { "kind": "limit", "key": "rate_limit:login:{user}", "ttl": "1d" },
            "session": { "kind": "session", "key": "billing:session:{id}", "owner": "billing", "idle": "30m", "absolute": "24h" }
          },
          "environments": { "production": { "families": { "customer": { "ttl": "2h" } } } }
        }
        """;

    private const string Uses = """
        namespace Shop.App
        {
            public static class Uses
            {
                public static Onggi.Keys.CacheKey<Shop.Customer> Customer => Keys.Customer("010");
                public static Onggi.Keys.CacheKey<System.Collections.Generic.IReadOnlyList<Shop.Bill>> Bill => Keys.BillOfMonth("010", month: "2026-11");
                public static Onggi.Keys.CacheKey<int[]> Event => Keys.Event(@class: "a", @event: "b", Id: "c");
                public static Onggi.Keys.CacheKey<Shop.Outer.Inner> Nested => Keys.Nested("a");
                public static Onggi.Keys.LockKey Run => Keys.InvoiceRun("2026-11");
                public static Onggi.Keys.LimitKey Login => Keys.Login(user: "7");
                public static Onggi.Events.EventType<Shop.CustomerUpdated> Updated => EventTypes.CustomerUpdated;
                public static Onggi.Events.EventType<System.Text.Json.JsonElement> Raw => EventTypes.RawThingSeen;
                public static Onggi.Keys.KeyFamily Family => KeyFamilies.BillOfMonth;
                public const string Text = Catalog.Json;
            }
        }
        """;

    [Fact]
    public void Generated_code_compiles_and_is_used()
    {
        var run = Run(Json, Types, Uses);

        Assert.Empty(run.Diagnostics);
        Assert.Empty(run.CompilerErrors);
    }

    [Fact]
    public void Generated_keys_fit_the_catalog_they_came_from()
    {
        var assembly = Run(Json, Types, Uses).Load();
        var uses = assembly.GetType("Shop.App.Uses")!;
        T Get<T>(string name) => (T)uses.GetProperty(name)!.GetValue(null)!;
        var keyspace = Keyspace.Load((string)uses.GetField("Text")!.GetValue(null)!);

        var bill = Get<object>("Bill");
        var entry = (EntryKey)bill.GetType().GetProperty("Entry")!.GetValue(bill)!;

        Assert.Equal("dev:bill:010:2026-11", keyspace.WireName(entry));
        Assert.Equal("dev:event:a:b:c", keyspace.WireName(Get<CacheKey<int[]>>("Event").Entry));
        Assert.Equal("dev:locks:invoice_run:2026-11", keyspace.WireName(Get<LockKey>("Run").Entry));
        Assert.Equal("dev:rate_limit:login:7", keyspace.WireName(Get<LimitKey>("Login").Entry));
        Assert.Same(entry.Family, Get<KeyFamily>("Family"));
        Assert.Equal(["lineNumber", "month"], entry.Family.Identifiers);
        Assert.Equal("raw.thing_seen", Get<EventType<JsonElement>>("Raw").Name);
    }

    [Theory]
    [InlineData("Keys.Costumer(\"010\")", "CS0117")]
    [InlineData("Keys.Customer()", "CS7036")]
    [InlineData("Keys.Customer(\"010\", \"x\")", "CS1501")]
    [InlineData("Keys.Customer(lineNo: \"010\")", "CS1739")]
    [InlineData("(Onggi.Keys.CacheKey<Shop.Bill>)Keys.Customer(\"010\")", "CS0030")]
    [InlineData("EventTypes.CustomerUpdate", "CS0117")]
    [InlineData("(Onggi.Keys.LockKey)Keys.Login(\"7\")", "CS0030")]
    [InlineData("Keys.Session(\"a\")", "CS0117")]
    public void Wrong_names_do_not_compile(string expression, string error)
    {
        var run = Run(Json, Types, $"namespace Shop.App {{ public static class Wrong {{ public static object Value => {expression}; }} }}");

        Assert.Contains(run.CompilerErrors, found => found.Id == error);
    }

    [Fact]
    public void Generated_members_say_what_the_catalog_says()
    {
        var keys = Run(Json, Types).Source("Keys.g.cs");

        Assert.Contains("<c>customer:{lineNumber}</c>: Who \"owns\" a line.", keys, StringComparison.Ordinal);
        Assert.Contains(
            "Time to live 4h (production: 2h); written by billing. Invalidated by customer.updated.",
            keys,
            StringComparison.Ordinal
        );
        Assert.Contains("Time to live 30m; written by every service.", keys, StringComparison.Ordinal);
        Assert.Contains("personal, so it is hashed where the environment says so", keys, StringComparison.Ordinal);
        Assert.Contains("A customer's &lt;name&gt; &amp; more.", Run(Json, Types).Source("EventTypes.g.cs"), StringComparison.Ordinal);
    }

    [Fact]
    public void Documented_projects_get_no_warnings_from_generated_code() =>
        Assert.Empty(
            Run(Json, Types)
                .Compilation.GetDiagnostics()
                .Where(found => found.Location.SourceTree?.FilePath.EndsWith(".g.cs", StringComparison.Ordinal) == true)
        );

    [Fact]
    public void A_mistake_is_a_compiler_error_at_its_line()
    {
        var broken = Json.Replace("\"ttl\": \"4h\"", "\"ttl\": \"4 hours\"", StringComparison.Ordinal);

        var run = Run(broken, Types, Uses);

        var found = Assert.Single(run.Diagnostics);
        Assert.Equal(("ONGGI007", DiagnosticSeverity.Error), (found.Id, found.Severity));
        Assert.Equal("/repo/keyspace.json", found.Location.GetLineSpan().Path);
        Assert.Equal(
            (15, 91),
            (found.Location.GetLineSpan().StartLinePosition.Line, found.Location.GetLineSpan().StartLinePosition.Character)
        );
        Assert.Contains("Write \"4h\".", found.GetMessage(), StringComparison.Ordinal);
        // The rest of the catalog still makes code: one mistake is one error.
        Assert.Empty(run.CompilerErrors);
    }

    [Fact]
    public void All_mistakes_are_reported_at_once()
    {
        var broken = Json.Replace("\"ttl\": \"4h\"", "\"ttl\": \"4 hours\", \"colour\": 1", StringComparison.Ordinal)
            .Replace("\"data.lineNumber\"", "\"lineNumber\"", StringComparison.Ordinal);

        Assert.Equal(
            ["ONGGI002", "ONGGI007", "ONGGI021"],
            Run(broken, Types).Diagnostics.Select(found => found.Id).Order(StringComparer.Ordinal)
        );
    }

    [Fact]
    public void A_cache_without_value_type_is_an_error()
    {
        var found = Assert.Single(Run("""{ "system": "s", "families": { "a": { "key": "a:{id}" } } }""").Diagnostics);

        Assert.Equal("ONGGI003", found.Id);
        Assert.Contains("lacks the field \"value\"", found.GetMessage(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_that_nobody_declares_is_an_error_at_its_line()
    {
        var found = Assert.Single(
            Run(Json.Replace("\"value\": \"Shop.Customer\"", "\"value\": \"App.Customer\"", StringComparison.Ordinal), Types).Diagnostics
        );

        Assert.Equal("ONGGI028", found.Id);
        Assert.Equal(15, found.Location.GetLineSpan().StartLinePosition.Line);
        Assert.Contains("Did you mean \"Shop.Customer\"?", found.GetMessage(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_catalog_is_an_error()
    {
        var run = Run([("/repo/keyspace.json", Json), ("/repo/other/keyspace.json", Json)], "Shop.App", Types);

        var found = Assert.Single(run.Diagnostics);
        Assert.Equal(("ONGGI029", "/repo/other/keyspace.json"), (found.Id, found.Location.GetLineSpan().Path));
    }

    [Fact]
    public void Unreadable_JSON_leaves_the_classes_so_that_only_its_own_error_counts()
    {
        var run = Run("{ \"system\": \"s\", ", Types, "class A { string Text => Shop.App.Catalog.Json; }");

        Assert.Equal("ONGGI001", Assert.Single(run.Diagnostics).Id);
        Assert.Empty(run.CompilerErrors);
    }

    [Fact]
    public void Without_a_catalog_nothing_is_made() =>
        Assert.Empty(Run([("/repo/appsettings.json", "{}")], "Shop.App", Types).Compilation.SyntaxTrees.Skip(1));

    [Fact]
    public void Without_a_root_namespace_the_assembly_gives_it() =>
        Assert.Contains("namespace test;", Run([("/repo/keyspace.json", Json)], "", Types).Source("Keys.g.cs"), StringComparison.Ordinal);

    [Fact]
    public void The_catalogs_text_comes_through_as_it_is()
    {
        const string text = "{ \"system\": \"s\", /* \u0001 \\ \" 한글 📞 \u2028 \"\"\" */ \"families\": {} }\r\n";

        var assembly = Run(text, "").Load();

        Assert.Equal(text, assembly.GetType("Shop.App.Catalog")!.GetField("Json")!.GetValue(null));
    }

    [Fact]
    public void A_change_of_code_does_not_make_the_keys_again()
    {
        var compilation = Compile(Types);
        var driver = Driver([("/repo/keyspace.json", Json)], "Shop.App").RunGenerators(compilation);

        driver = driver.RunGenerators(compilation.AddSyntaxTrees(CSharpSyntaxTree.ParseText("class More;", Language)));

        var outputs = driver.GetRunResult().Results.Single().TrackedOutputSteps.SelectMany(step => step.Value).ToList();
        Assert.Contains(outputs, step => step.Outputs.All(output => output.Reason == IncrementalStepRunReason.Cached));
    }
}
