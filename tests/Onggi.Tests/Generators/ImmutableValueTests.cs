using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Onggi.Caching;
using static Onggi.Tests.Generators.GeneratorHarness;

namespace Onggi.Tests.Generators;

/// <summary>The generator tells from a type's structure whether all readers may be given the same object.</summary>
public class ImmutableValueTests
{
    private const string Usings = """
        using System;
        using System.Collections.Generic;
        using System.Collections.Frozen;
        using System.Collections.Immutable;
        using System.ComponentModel;

        """;

    [Theory]
    [InlineData("Value", "public sealed record Value(string Name, int Count, decimal? Price, DateOnly Day, Uri Link, Guid Id);")]
    [InlineData("Value", "public sealed record Value(Inner Inner); public sealed record Inner(string? Name); ")]
    [InlineData("Value", "public sealed record Value { public required string Name { get; init; } public string Loud => Name + \"!\"; }")]
    [InlineData(
        "Value",
        "public sealed class Value(string name) { public string Name { get; } = name; private readonly int _count = name.Length; }"
    )]
    [InlineData(
        "Value",
        "public sealed class Value { public const int Most = 3; public static int Made; public string Name { get; init; } = \"\"; }"
    )]
    [InlineData("Value", "public readonly record struct Value(string Name, Kind Kind); public enum Kind { A }")]
    [InlineData("Value?", "public readonly record struct Value(string Name);")]
    [InlineData("Value?", "public sealed record Value(string Name);")]
    [InlineData("Value", "public sealed record Value(string Name, Value? Next, IReadOnlyList<Value> Others);")]
    [InlineData("Value", "public sealed record Value(string Name) : Base(7); public abstract record Base(int Number);")]
    [InlineData(
        "Value",
        "public sealed record Value(ImmutableArray<int> A, ImmutableList<string> B, FrozenDictionary<string, Inner> C); public sealed record Inner(int N);"
    )]
    [InlineData(
        "Value",
        "public sealed record Value(IReadOnlyList<int> A, IReadOnlyCollection<int> B, IReadOnlyDictionary<string, int> C, IReadOnlySet<int> D);"
    )]
    [InlineData("Value", "public sealed record Value(System.Text.Json.JsonElement Anything);")]
    [InlineData("Value", "[ImmutableObject(true)] public sealed class Value { public List<int> Filled { get; set; } = []; }")]
    [InlineData(
        "Value",
        "public sealed record Value(Marked Marked); [ImmutableObject(true)] public class Marked { public int N { get; set; } }"
    )]
    [InlineData(
        "Shop.Page<Shop.Value>",
        "public sealed record Page<T>(IReadOnlyList<T> Items, int Total); public sealed record Value(string Name);"
    )]
    [InlineData("Shop.Outer.Value", "public static class Outer { public sealed record Value(string Name); }")]
    [InlineData("System.Collections.Generic.IReadOnlyList<Shop.Value?>", "public sealed record Value(string Name);")]
    [InlineData("System.Collections.Immutable.ImmutableArray<string>", "")]
    public void What_nobody_can_change_is_shared(string type, string declaration)
    {
        var run = RunWith(type, declaration);

        Assert.Empty(run.All);
        Assert.Empty(run.CompilerErrors);
        Assert.Empty(run.Compilation.GetDiagnostics().Where(found => found.Severity == DiagnosticSeverity.Warning && IsGenerated(found)));
        Assert.Contains("ImmutableValueTypes.Add<", run.Source("ImmutableValues.g.cs"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "Value",
        "public sealed record Value { public string? Name { get; set; } }",
        "Shop.Value.Name can be set",
        "{ get; init; }"
    )]
    [InlineData(
        "Value",
        "public sealed record Value { public string? Name { get; private set; } }",
        "Shop.Value.Name can be set",
        "{ get; init; }"
    )]
    [InlineData(
        "Value",
        "public sealed class Value { private int _count; public int Next() => _count++; }",
        "Shop.Value._count is not readonly",
        "readonly"
    )]
    [InlineData(
        "Value",
        "public sealed class Value(int count) { public int Next() => count++; }",
        "keeps its constructor's parameter \"count\"",
        "{ get; }"
    )]
    [InlineData(
        "Value",
        "public sealed class Value(int count) { public int Count { get => count; } }",
        "keeps its constructor's parameter \"count\"",
        "{ get; }"
    )]
    [InlineData("Value", "public sealed class Value { public int Reads { get => field++; init; } }", "Shop.Value.Reads changes", "Compute")]
    [InlineData("Value", "public sealed class Value { public event Action? Changed; }", "Shop.Value.Changed is an event", "without")]
    [InlineData("Value", "public record Value(string Name);", "Shop.Value is not sealed", "sealed record")]
    [InlineData("Value", "public abstract record Value(string Name);", "Shop.Value is not sealed", "sealed record")]
    [InlineData("Value", "public sealed partial record Value(string Name);", "Shop.Value is partial", "ImmutableObject(true)")]
    [InlineData("Value", "public record struct Value(string Name);", "struct that is not readonly", "readonly struct")]
    [InlineData(
        "Value",
        "public sealed record Value(List<string> Names);",
        "Shop.Value.Names: System.Collections.Generic.List<string> can be changed",
        "IReadOnlyList"
    )]
    [InlineData("Value", "public sealed record Value(int[] Numbers);", "Shop.Value.Numbers: int[] can be changed", "immutable collection")]
    [InlineData("Value", "public sealed record Value(IReadOnlyList<int[]> Numbers);", "int[] can be changed", "immutable collection")]
    [InlineData("Value", "public sealed record Value(IDictionary<string, int> Counts);", "can hold objects of any class", "sealed")]
    [InlineData("Value", "public sealed record Value(IEnumerable<int> Counts);", "can hold objects of any class", "sealed")]
    [InlineData("Value", "public sealed record Value(object Anything);", "object can be anything", "sealed")]
    [InlineData(
        "Value",
        "public sealed record Value(string Name) : Base; public abstract record Base { public int N { get; set; } }",
        "Shop.Base.N can be set",
        "init"
    )]
    [InlineData(
        "Value",
        "public sealed record Value(string Name, Inner Inner); public sealed record Inner(string Name) { public int N { get; set; } }",
        "Shop.Inner.N can be set",
        "init"
    )]
    [InlineData(
        "Value",
        "public sealed record Value(string Name) { public Value? Next { get; set; } }",
        "Shop.Value.Next can be set",
        "init"
    )]
    [InlineData(
        "Value",
        "public sealed record Value(Grow<int> Grow); public sealed record Grow<T>(Grow<IReadOnlyList<T>>? More);",
        "holds types without end",
        ""
    )]
    [InlineData(
        "Shop.Page<Shop.Value>",
        "public sealed record Page<T>(IReadOnlyList<T> Items); public sealed class Value { public int N { get; set; } }",
        "Shop.Value.N can be set",
        "init"
    )]
    [InlineData("int[]", "", "int[] can be changed", "immutable collection")]
    [InlineData("System.Text.Json.JsonDocument", "", "comes from another assembly", "ImmutableObject(true)")]
    [InlineData(
        "Value",
        "[ImmutableObject(false)] public sealed class Value { public int N { get; set; } }",
        "Shop.Value.N can be set",
        "init"
    )]
    public void What_can_change_is_named_with_its_cure(string type, string declaration, string what, string cure)
    {
        var run = RunWith(type, declaration);

        var advice = Assert.Single(run.All);
        Assert.Equal(("ONGGI031", DiagnosticSeverity.Info), (advice.Id, advice.Severity));
        Assert.Equal("/repo/keyspace.json", advice.Location.GetLineSpan().Path);
        Assert.True(advice.GetMessage().Contains(what, StringComparison.Ordinal), advice.GetMessage());
        Assert.Contains("each read from memory makes its own copy", advice.GetMessage(), StringComparison.Ordinal);
        Assert.Contains(cure, advice.GetMessage(), StringComparison.Ordinal);
        Assert.Empty(run.CompilerErrors);
        Assert.DoesNotContain(run.Compilation.SyntaxTrees, tree => Path.GetFileName(tree.FilePath) == "ImmutableValues.g.cs");
    }

    [Fact]
    public void A_type_that_holds_a_mutable_one_which_holds_it_is_mutable_too()
    {
        var run = Run(
            Catalog("Shop.First", "Shop.Second"),
            Usings
                + "namespace Shop; public sealed record First(Second? B) { public int N { get; set; } } public sealed record Second(First? A);"
        );

        Assert.Equal(2, run.Advice.Length);
    }

    [Fact]
    public void The_advice_leads_to_the_member()
    {
        var run = RunWith("Value", "public sealed record Value { public string? Name { get; set; } }");

        var place = Assert.Single(Assert.Single(run.Advice).AdditionalLocations);
        Assert.Equal("Name", place.SourceTree!.GetText().ToString(place.SourceSpan));
    }

    [Fact]
    public void Advice_is_given_once_for_a_type_and_not_for_payloads()
    {
        var run = Run(
            """
            {
              "system": "s", "services": { "s": {} },
              "events": { "a.happened": { "payload": "Shop.Payload" } },
              "families": { "a": { "key": "a:{id}", "value": "Shop.Value" }, "b": { "key": "b:{id}", "value": "Shop.Value" } }
            }
            """,
            "namespace Shop; public class Value; public class Payload;"
        );

        Assert.Contains("Shop.Value", Assert.Single(run.All).GetMessage(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_cache_knows_by_itself_makes_no_code() =>
        Assert.DoesNotContain(
            Run(Catalog("string", "int?", "System.Guid", "System.DayOfWeek"), "").Compilation.SyntaxTrees,
            tree => Path.GetFileName(tree.FilePath) == "ImmutableValues.g.cs"
        );

    [Fact]
    public void The_cache_knows_before_the_first_key_is_made()
    {
        var assembly = RunWith("Value", "public sealed record Value(string Name);").Load();

        assembly.GetType("Shop.App.Keys")!.GetMethod("F0")!.Invoke(null, ["a"]);

        Assert.True(ImmutableValueTypes.Contains(assembly.GetType("Shop.Value")!));
    }

    [Fact]
    public void A_change_of_code_that_changes_no_value_makes_nothing_again()
    {
        var compilation = Compile("namespace Shop; public sealed record Value(string Name);");
        var driver = Driver([("/repo/keyspace.json", Catalog("Shop.Value"))], "Shop.App").RunGenerators(compilation);

        driver = driver.RunGenerators(compilation.AddSyntaxTrees(CSharpSyntaxTree.ParseText("class More;", Language)));

        var code = driver
            .GetRunResult()
            .Results.Single()
            .TrackedOutputSteps.Where(step => step.Key == "ImplementationSourceOutput")
            .SelectMany(step => step.Value)
            .SelectMany(step => step.Outputs);
        Assert.Equal(IncrementalStepRunReason.Cached, Assert.Single(code).Reason);
    }

    private static GeneratorRun RunWith(string type, string declaration)
    {
        var name = type.TrimEnd('?') == "Value" ? "Shop." + type : type;
        return Run(Catalog(name), Usings + "namespace Shop\n{\n" + declaration + "\n}");
    }

    private static string Catalog(params string[] types) =>
        $$"""
            {
              "system": "s",
              "families": {
                {{string.Join(",\n", types.Select((type, i) => $$"""  "f{{i}}": { "key": "f{{i}}:{id}", "value": "{{type}}" }"""))}}
              }
            }
            """;

    private static bool IsGenerated(Diagnostic found) =>
        found.Location.SourceTree?.FilePath.EndsWith(".g.cs", StringComparison.Ordinal) == true;
}
