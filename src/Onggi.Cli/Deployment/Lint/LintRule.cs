using Onggi.Cli.Checks;

namespace Onggi.Cli.Deployment.Lint;

/// <summary>One thing that is looked for.</summary>
/// <param name="Code">Stable, for suppressions and documents.</param>
/// <param name="Alias">The same in a word that says what it is about: <c>SVC001</c>.</param>
/// <param name="Category">What it belongs to.</param>
/// <param name="Name">What it asks, in a few words.</param>
/// <param name="Expected">What should be there.</param>
/// <param name="Why">What comes of it otherwise.</param>
internal sealed record LintRule(string Code, string Alias, string Category, string Name, string Expected, string Why)
{
    /// <summary>A finding of this rule.</summary>
    /// <param name="found">The object that is to be mended.</param>
    /// <param name="part">Where in it.</param>
    /// <param name="observed">What stands there, without secrets.</param>
    /// <param name="fix">What to write.</param>
    /// <param name="isWarning">Whether it can be lived with, knowingly.</param>
    public LintFinding At(ManifestObject found, YamlPart part, string observed, string fix, bool isWarning = false) =>
        new(this, found.Id, part.Place, observed, fix, isWarning);
}

/// <summary>Something that is not as it should be.</summary>
/// <param name="Rule">What was looked for.</param>
/// <param name="Object">In which object: <c>StatefulSet/redis</c>.</param>
/// <param name="Place">File and line.</param>
/// <param name="Observed">What was found.</param>
/// <param name="Fix">What to write.</param>
/// <param name="IsWarning">Whether it can be lived with, knowingly.</param>
internal sealed record LintFinding(LintRule Rule, string Object, string Place, string Observed, string Fix, bool IsWarning)
{
    /// <summary>As the other commands have it. A suppression's <c>where</c> may name the file, the line or the object.</summary>
    public Finding AsFinding() => new(Rule.Code, $"{Place} {Object}", Observed, Rule.Why, Fix, IsWarning);
}
