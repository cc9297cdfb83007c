using System.Collections.Immutable;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using Onggi.Keys.Catalog;

namespace Onggi.Generators;

/// <summary>Mistakes of the catalog as the compiler reports them: <c>ONGGI001</c> and on, each an error at its place in keyspace.json; and advice.</summary>
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
                // It works as it is, only slower.
                code == MistakeCode.MutableValue
                    ? DiagnosticSeverity.Info
                    : DiagnosticSeverity.Error,
                isEnabledByDefault: true,
                helpLinkUri: null,
                // A type that another generator makes cannot be seen from here: that one may be turned off, and advice may.
                customTags: code is MistakeCode.TypeNotFound or MistakeCode.MutableValue ? [] : [WellKnownDiagnosticTags.NotConfigurable]
            )
        );

    /// <param name="path">The catalog's file.</param>
    /// <param name="mistake">What is wrong there.</param>
    /// <param name="cause">Where in the code that comes from; <c>null</c> when it does not.</param>
    public static Diagnostic Of(string path, CatalogMistake mistake, Location? cause = null) =>
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
            cause is null ? null : [cause],
            mistake.Message
        );

    /// <summary>The code's name in words: <c>BadDuration</c> as "Bad duration".</summary>
    private static string Title(MistakeCode code)
    {
        var words = string.Concat(code.ToString().Select(c => char.IsUpper(c) ? " " + char.ToLowerInvariant(c) : c.ToString())).Trim();
        return "Keyspace catalog: " + words;
    }
}
