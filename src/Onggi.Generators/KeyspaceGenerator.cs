using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using Onggi.Keys.Catalog;

namespace Onggi.Generators;

/// <summary>
/// Turns the catalog (<c>keyspace.json</c> among the project's AdditionalFiles) into <c>Keys</c>, <c>EventTypes</c> and <c>Catalog</c> in the
/// project's root namespace, every mistake in it into a compiler error at its line, and tells the cache which of the values nobody can change.
/// </summary>
/// <remarks>
/// Code is made of what is right even where something is wrong: one mistake in the catalog must not turn every use of a key into an error.
/// Types are looked up apart from that, since they change with every key press and the catalog does not.
/// </remarks>
[Generator(LanguageNames.CSharp)]
public sealed class KeyspaceGenerator : IIncrementalGenerator
{
    /// <summary>The name of the file that is read; others are left alone.</summary>
    public const string FileName = "keyspace.json";

    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        // The last step is redone only when a file's text changes: reading a catalog is not free, and compilations change with every key press.
        var catalogs = context
            .AdditionalTextsProvider.Where(static file =>
                string.Equals(Path.GetFileName(file.Path), FileName, StringComparison.OrdinalIgnoreCase)
            )
            .Select(static (file, cancellationToken) => new CatalogText(file.Path, file.GetText(cancellationToken)?.ToString() ?? ""))
            .Collect()
            .Select(static (files, _) => new ReadCatalog(files, files.IsEmpty ? null : CatalogFile.Read(files[0].Text, wantsTypes: true)));
        var rootNamespace = context
            .AnalyzerConfigOptionsProvider.Select(
                static (options, _) => options.GlobalOptions.TryGetValue("build_property.RootNamespace", out var name) ? name : ""
            )
            .Combine(context.CompilationProvider.Select(static (compilation, _) => compilation.AssemblyName ?? ""))
            .Select(static (names, _) => names.Left.Length > 0 ? names.Left : names.Right);

        context.RegisterSourceOutput(catalogs.Combine(rootNamespace), static (output, input) => Generate(output, input.Left, input.Right));
        var types = catalogs
            .Combine(context.CompilationProvider)
            .Select(
                static (input, cancellationToken) =>
                    ValueTypes.Of(
                        input.Left.Files.IsEmpty ? "" : input.Left.Files[0].Path,
                        input.Left.Catalog?.Model,
                        input.Right,
                        cancellationToken
                    )
            );
        context.RegisterSourceOutput(types, static (output, found) => Report(output, found));
        // Most changes of code leave this text as it is, and then nothing is made again. Nobody refers to it, so editors can do without.
        context.RegisterImplementationSourceOutput(
            types.Select(static (found, _) => found.Code),
            static (output, code) => Add(output, code)
        );
    }

    private static void Generate(SourceProductionContext output, ReadCatalog input, string rootNamespace)
    {
        if (input.Catalog is not { } catalog)
            return;
        var files = input.Files;
        foreach (var other in files.Skip(1))
            output.ReportDiagnostic(
                Diagnostics.Of(
                    other.Path,
                    new CatalogMistake(
                        MistakeCode.SecondCatalog,
                        null,
                        $"The project has more than one {FileName} (the first is {files[0].Path}).",
                        "A keyspace is described once.",
                        "Remove one of them from AdditionalFiles."
                    )
                )
            );
        var (path, text) = (files[0].Path, files[0].Text);
        foreach (var mistake in catalog.Mistakes)
            output.ReportDiagnostic(Diagnostics.Of(path, mistake));
        foreach (var (name, source) in CatalogCode.Write(catalog.Model ?? new CatalogModel(), text, rootNamespace))
            output.AddSource(name, SourceText.From(source, System.Text.Encoding.UTF8));
    }

    private static void Report(SourceProductionContext output, ValueTypes types)
    {
        foreach (var diagnostic in types.Diagnostics)
            output.ReportDiagnostic(diagnostic);
    }

    private static void Add(SourceProductionContext output, string code)
    {
        if (code.Length > 0)
            output.AddSource("ImmutableValues.g.cs", SourceText.From(code, System.Text.Encoding.UTF8));
    }

    /// <summary>The catalog's path and text; equal when both are, so that an unchanged catalog makes no work.</summary>
    private sealed record CatalogText(string Path, string Text);

    /// <summary>The files that were found, and what came of reading the first.</summary>
    private sealed class ReadCatalog(ImmutableArray<CatalogText> files, CatalogFile? catalog)
    {
        public ImmutableArray<CatalogText> Files { get; } = files;

        public CatalogFile? Catalog { get; } = catalog;
    }
}
