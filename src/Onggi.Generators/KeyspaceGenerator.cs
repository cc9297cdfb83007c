using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using Onggi.Keys.Catalog;

namespace Onggi.Generators;

/// <summary>
/// Turns the catalog (<c>keyspace.json</c> among the project's AdditionalFiles) into <c>Keys</c>, <c>EventTypes</c> and <c>Catalog</c> in the
/// project's root namespace, and every mistake in it into a compiler error at its line.
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
        context.RegisterSourceOutput(
            catalogs.Combine(context.CompilationProvider),
            static (output, input) => CheckTypes(output, input.Left, input.Right)
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

    private static void CheckTypes(SourceProductionContext output, ReadCatalog input, Compilation compilation)
    {
        if (input.Catalog?.Model is not { } model)
            return;
        var named = model
            .Families.Where(family => family.KindWord == KindRules.Cache)
            .Select(family => family.Value)
            .Concat(model.Events.Select(catalogEvent => catalogEvent.Payload));
        foreach (var type in named)
        {
            output.CancellationToken.ThrowIfCancellationRequested();
            if (type is not null && ClrTypeName.TryParse(type.Value, out var parsed) && MissingType(parsed!, compilation) is { } missing)
                output.ReportDiagnostic(
                    Diagnostics.Of(
                        input.Files[0].Path,
                        new CatalogMistake(
                            MistakeCode.TypeNotFound,
                            type.Node,
                            $"There is no type \"{missing}\" in this project or its references.",
                            "Typed keys and events are made from it.",
                            TypeSuggestion(missing, compilation)
                        )
                    )
                );
        }
    }

    /// <summary>The first name in the type that nobody declares; <c>null</c> when all are known.</summary>
    private static string? MissingType(ClrTypeName type, Compilation compilation)
    {
        if (!type.IsKeyword && !Exists(type, compilation))
            return type.Name;
        return type.Arguments.Select(argument => MissingType(argument, compilation)).FirstOrDefault(missing => missing is not null);
    }

    /// <summary>Looks for the type in its namespace, then as a type nested in another: C# writes both with dots.</summary>
    private static bool Exists(ClrTypeName type, Compilation compilation)
    {
        var arity = type.Arguments.Count == 0 ? "" : "`" + type.Arguments.Count.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var name = type.Name;
        while (true)
        {
            if (!compilation.GetTypesByMetadataName(name + arity).IsEmpty)
                return true;
            var dot = name.LastIndexOf('.');
            if (dot < 0)
                return false;
            name = name.Substring(0, dot) + "+" + name.Substring(dot + 1);
        }
    }

    private static string TypeSuggestion(string missing, Compilation compilation)
    {
        var simple = missing.Substring(missing.LastIndexOf('.') + 1);
        var found = compilation
            .GetSymbolsWithName(simple, SymbolFilter.Type)
            .Select(symbol => symbol.ToDisplayString())
            .FirstOrDefault(name => name != missing);
        return found is not null ? $"Did you mean \"{found}\"?" : $"Declare it: public sealed record {simple}(…);";
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
