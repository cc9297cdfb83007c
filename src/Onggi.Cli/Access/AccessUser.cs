namespace Onggi.Cli.Access;

/// <summary>One user of Redis and what it may do.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Purpose">Who is to use it, in a sentence.</param>
/// <param name="Rules">Rules of ACL SETUSER, in order, without state and passwords. A selector is one rule, in brackets.</param>
internal sealed record AccessUser(string Name, string Purpose, IReadOnlyList<string> Rules)
{
    /// <summary>The user whom everybody is who does not say who he is.</summary>
    public const string Default = "default";

    /// <summary>Whether anybody may log in as it.</summary>
    public bool IsOn => Name != Default;

    /// <summary>The arguments of ACL SETUSER that make it so, whatever it was before.</summary>
    /// <param name="digests">SHA-256 of its passwords, in lower-case hexadecimal.</param>
    public IReadOnlyList<string> Definition(IReadOnlyCollection<string> digests) =>
        ["reset", IsOn ? "on" : "off", .. digests.Select(digest => "#" + digest), .. Rules];

    /// <summary>Its line in an ACL file.</summary>
    /// <inheritdoc cref="Definition"/>
    public string Line(IReadOnlyCollection<string> digests) => $"user {Name} {string.Join(' ', Definition(digests))}";
}
