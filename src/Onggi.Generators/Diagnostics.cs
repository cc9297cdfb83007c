using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using Onggi.Keys.Catalog;

namespace Onggi.Generators;

/// <summary>Mistakes of the catalog as the compiler reports them: <c>ONGGI001</c> and on, each an error at its place in keyspace.json.</summary>
internal static class Diagnostics
{
    private static readonly ImmutableDictionary<MistakeCode, DiagnosticDescriptor> Descriptors = Enum.GetValues(typeof(MistakeCode))
        .Cast<MistakeCode>()
        .ToImmutableDictionary(
            code => code,
            code => new DiagnosticDescriptor(
                "ONGGI" + ((int)code).ToString("000", System.Globalization.CultureInfo.InvariantCulture),
                Title(code),
                "{0}",
                "Onggi.Catalog",
                DiagnosticSeverity.Error,
                isEnabledByDefault: true,
                helpLinkUri: null,
                // A type that another generator makes cannot be seen from here: that one may be turned off.
                customTags: code == MistakeCode.TypeNotFound ? [] : [WellKnownDiagnosticTags.NotConfigurable]
            )
        );

    public static Diagnostic Of(string path, CatalogMistake mistake) =>
        Diagnostic.Create(
            Descriptors[mistake.Code],
            Location.Create(
                path,
                new TextSpan(mistake.Offset, mistake.Length),
                new LinePositionSpan(
                    new LinePosition(mistake.Line - 1, mistake.Column - 1),
                    new LinePosition(mistake.Line - 1, mistake.Column - 1 + mistake.Length)
                )
            ),
            mistake.Message
        );

    /// <summary>The code's name in words: <c>BadDuration</c> as "Bad duration".</summary>
    private static string Title(MistakeCode code)
    {
        var words = string.Concat(code.ToString().Select(c => char.IsUpper(c) ? " " + char.ToLowerInvariant(c) : c.ToString())).Trim();
        return "Keyspace catalog: " + words;
    }
}
