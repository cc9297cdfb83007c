namespace Onggi.Cli.Deployment;

/// <summary>The name of an image, as a manifest has it: <c>redis:7.2.5</c>, <c>ghcr.io/team/service@sha256:…</c>.</summary>
/// <param name="Registry">The registry's host, with its port if there is one; <c>docker.io</c> where none is named.</param>
/// <param name="Repository">The path there: <c>library/redis</c>.</param>
/// <param name="Tag">The tag; <c>null</c> where none is named.</param>
/// <param name="Digest"><c>sha256:…</c>; <c>null</c> where none is named.</param>
internal sealed record ImageReference(string Registry, string Repository, string? Tag, string? Digest)
{
    public const string DockerHub = "docker.io";
    private const string Official = "library/";

    /// <summary>Reads a name by the rules of the container tools; <c>null</c> when it is none.</summary>
    public static ImageReference? Parse(string? text)
    {
        if (string.IsNullOrWhiteSpace(text) || text.Any(char.IsWhiteSpace))
            return null;
        var (rest, digest) = Cut(text, text.IndexOf('@', StringComparison.Ordinal));
        // A colon before the last slash belongs to the registry's port.
        var colon = rest.LastIndexOf(':');
        var (name, tag) = Cut(rest, colon > rest.LastIndexOf('/') ? colon : -1);
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        var first = slash < 0 ? "" : name[..slash];
        var hasRegistry =
            first == "localhost" || first.Contains('.', StringComparison.Ordinal) || first.Contains(':', StringComparison.Ordinal);
        var (registry, path) = hasRegistry ? (first, name[(slash + 1)..]) : (DockerHub, name);
        if (registry is "index.docker.io" or "registry-1.docker.io")
            registry = DockerHub;
        if (registry == DockerHub && !path.Contains('/', StringComparison.Ordinal))
            path = Official + path;
        return path.Length == 0 || tag is "" || digest is "" ? null : new ImageReference(registry, path, tag, digest);
    }

    /// <summary>The last word of the path: <c>redis</c>.</summary>
    public string Name => Repository[(Repository.LastIndexOf('/') + 1)..];

    /// <summary>As people write it, without tag and digest.</summary>
    public string ShortName =>
        Registry != DockerHub ? $"{Registry}/{Repository}"
        : Repository.StartsWith(Official, StringComparison.Ordinal) ? Repository[Official.Length..]
        : Repository;

    /// <summary>Whether the tag names one version to its last number: <c>7.2.5</c>, <c>v1.62.0-alpine</c>.</summary>
    public bool HasExactTag => Tag is { } tag && VersionOf(tag)?.Length >= 3;

    /// <summary>The numbers that the tag begins with; <c>null</c> where it begins with none.</summary>
    public IReadOnlyList<int>? Version => Tag is { } tag ? VersionOf(tag) : null;

    public override string ToString() => $"{ShortName}{(Tag is null ? "" : $":{Tag}")}{(Digest is null ? "" : $"@{Digest}")}";

    private static int[]? VersionOf(string tag)
    {
        var begin = tag.StartsWith('v') ? 1 : 0;
        var end = begin;
        while (end < tag.Length && (char.IsAsciiDigit(tag[end]) || tag[end] == '.'))
            end++;
        if (end < tag.Length && tag[end] is not ('-' or '_' or '+'))
            return null;
        var numbers = new List<int>();
        foreach (var part in tag[begin..end].Split('.'))
        {
            if (!int.TryParse(part, out var number))
                return null;
            numbers.Add(number);
        }

        return [.. numbers];
    }

    private static (string Before, string? After) Cut(string text, int at) => at < 0 ? (text, null) : (text[..at], text[(at + 1)..]);
}
