using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;
using Onggi.Generators;

namespace Onggi.Tests.Generators;

/// <summary>Runs the generator on catalogs and code in memory.</summary>
internal static class GeneratorHarness
{
    // Preview: the compiler of these tests may be older than the one that builds this.
    public static readonly CSharpParseOptions Language = new(LanguageVersion.Preview, DocumentationMode.Diagnose);

    public static GeneratorRun Run(string catalog, params string[] sources) => Run([("/repo/keyspace.json", catalog)], "Shop.App", sources);

    public static GeneratorRun Run((string Path, string Text)[] files, string rootNamespace, params string[] sources)
    {
        Driver(files, rootNamespace).RunGeneratorsAndUpdateCompilation(Compile(sources), out var compilation, out var diagnostics);
        return new GeneratorRun(compilation, diagnostics);
    }

    public static CSharpCompilation Compile(params string[] sources) =>
        CSharpCompilation.Create(
            "test",
            sources.Select(source => CSharpSyntaxTree.ParseText(source, Language)),
            References,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable)
        );

    public static CSharpGeneratorDriver Driver((string Path, string Text)[] files, string rootNamespace) =>
        CSharpGeneratorDriver.Create(
            [new KeyspaceGenerator().AsSourceGenerator()],
            files.Select(file => new TextFile(file.Path, file.Text)),
            Language,
            new Options(rootNamespace),
            new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true)
        );

    private static readonly ImmutableArray<MetadataReference> References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path =>
                Path.GetFileName(path)
                    is "System.Runtime.dll"
                        or "System.Private.CoreLib.dll"
                        or "System.Text.Json.dll"
                        or "System.Collections.dll"
                        or "System.Collections.Immutable.dll"
                        or "System.ComponentModel.Primitives.dll"
                        or "System.Private.Uri.dll"
                        or "Onggi.dll"
            )
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    private sealed class TextFile(string path, string text) : AdditionalText
    {
        public override string Path => path;

        public override SourceText GetText(CancellationToken cancellationToken = default) => SourceText.From(text);
    }

    private sealed class Options(string rootNamespace) : AnalyzerConfigOptionsProvider
    {
        public override AnalyzerConfigOptions GlobalOptions { get; } = new Values(rootNamespace);

        public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => GlobalOptions;

        public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => GlobalOptions;

        private sealed class Values(string rootNamespace) : AnalyzerConfigOptions
        {
            public override bool TryGetValue(string key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? value)
            {
                value = key == "build_property.RootNamespace" && rootNamespace.Length > 0 ? rootNamespace : null;
                return value is not null;
            }
        }
    }
}

/// <summary>What the generator made of a catalog.</summary>
internal sealed record GeneratorRun(Compilation Compilation, ImmutableArray<Diagnostic> All)
{
    private const string AdviceId = "ONGGI031";

    /// <summary>Mistakes: everything but advice.</summary>
    public ImmutableArray<Diagnostic> Diagnostics => [.. All.Where(found => found.Id != AdviceId)];

    /// <summary>What is said of values that can change.</summary>
    public ImmutableArray<Diagnostic> Advice => [.. All.Where(found => found.Id == AdviceId)];

    public IEnumerable<Diagnostic> CompilerErrors =>
        Compilation.GetDiagnostics().Where(found => found.Severity == DiagnosticSeverity.Error);

    public string Source(string name) =>
        Compilation.SyntaxTrees.Single(tree => Path.GetFileName(tree.FilePath) == name).GetText().ToString();

    public System.Reflection.Assembly Load()
    {
        using var stream = new MemoryStream();
        var result = Compilation.Emit(stream);
        Assert.Empty(result.Diagnostics.Where(found => found.Severity == DiagnosticSeverity.Error));
        return System.Reflection.Assembly.Load(stream.ToArray());
    }
}
