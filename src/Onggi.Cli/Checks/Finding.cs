namespace Onggi.Cli.Checks;

/// <summary>Something that is not as it should be: where, what, why it matters, and what to write instead.</summary>
/// <param name="Code">Stable, for suppressions and documents: <c>ONG031</c>.</param>
/// <param name="Where">File and line, a server, a key.</param>
/// <param name="What">What was found, and what should be there, in a sentence.</param>
/// <param name="Why">What comes of it.</param>
/// <param name="Fix">What to write or run.</param>
/// <param name="IsWarning">Whether it can be lived with, knowingly.</param>
internal sealed record Finding(string Code, string Where, string What, string Why, string Fix, bool IsWarning = false)
{
    /// <summary>Its section in the documents.</summary>
    public string Link => $"docs/operations/findings.md#{Code.ToLowerInvariant()}";
}
