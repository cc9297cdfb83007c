using System.Text;
using Onggi.Cli.Access;
using Onggi.Client;

namespace Onggi.Cli.Migration;

/// <summary>Takes the right to write the old keys from those who write them, in one step of the server: from then on such a write is refused and not done.</summary>
/// <remarks>
/// A right holds in all databases alike. What a writer may besides stays as it was, except patterns that reach into the old keys: those go, whole, and what is needed of them is named in the rules (keep).
/// </remarks>
internal sealed class WriteFence(RedisClient server, MigrationRules rules, bool isOneServer)
{
    /// <summary>The key patterns each writer has now: what <see cref="LiftAsync"/> gives back.</summary>
    /// <exception cref="ToolException">A writer does not exist, or has rights that cannot be taken by patterns.</exception>
    public async Task<Dictionary<string, string>> ReadAsync(CancellationToken cancellationToken)
    {
        var patterns = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var writer in rules.Writers)
        {
            var user = await server.ExecuteAsync(["ACL", "GETUSER", writer], cancellationToken).ConfigureAwait(false);
            if (user.IsNull)
                throw new ToolException($"the server has no ACL user \"{writer}\", which the rules name as a writer.");
            if (user["selectors"] is { Items.Count: > 0 })
                throw new ToolException(
                    $"the writer \"{writer}\" has selectors, which the fence cannot read. Give it its rights in one set: ACL SETUSER {writer} clearselectors …"
                );
            patterns[writer] = user["keys"]?.Text ?? "";
        }

        return patterns;
    }

    /// <summary>Fences all writers. A second time is harmless.</summary>
    /// <param name="before">What they had before, as <see cref="ReadAsync"/> read it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task ApplyAsync(IReadOnlyDictionary<string, string> before, CancellationToken cancellationToken)
    {
        foreach (var (writer, patterns) in before)
            await SetAsync(writer, PatternsBehind(patterns), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives the writers back what they had.</summary>
    public async Task LiftAsync(IReadOnlyDictionary<string, string> before, CancellationToken cancellationToken)
    {
        foreach (var (writer, patterns) in before)
            await SetAsync(writer, Split(patterns), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes the users down to the aclfile, so that a restart does not take the fence away. What else was changed in users since the file was read goes there, too.</summary>
    /// <returns>Why they are not; <c>null</c> where they are, or where the server has no such file.</returns>
    public async Task<string?> SaveAsync(CancellationToken cancellationToken)
    {
        try
        {
            await new AccessServer(server).TrySaveAsync(cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (RedisException problem)
        {
            return $"{server.Options}: {problem.Message}";
        }
    }

    /// <summary>What a writer may when the fence stands: of the new names what it might of the old ones, and no more.</summary>
    public IReadOnlyList<string> PatternsBehind(string before)
    {
        var had = Split(before);
        var kept = new List<string>();
        kept.AddRange(had.Where(pattern => !Old.Any(prefix => Reaches(pattern, prefix))));
        foreach (var rule in rules.Rules)
        foreach (var (from, to) in ((string, string)[])[(rule.From, rule.To), ("{" + rule.From, "{" + rule.To)])
        foreach (var pattern in had.Where(pattern => Reaches(pattern, from)))
        {
            var glob = GlobOf(pattern);
            var within = Literal(pattern).StartsWith(from, StringComparison.Ordinal);
            if (!rules.FencesReads && !IsFor(pattern, "%W~"))
                kept.Add("%R~" + (within ? glob : KeyMap.Glob(from)));
            if (isOneServer)
                kept.Add(RightOf(pattern) + (within ? KeyMap.Glob(to)[..^1] + glob[from.Length..] : KeyMap.Glob(to)));
        }

        kept.Add("%R~" + KeyMap.Glob(rules.SystemPrefix));
        kept.AddRange(rules.Keep);
        return [.. kept.Distinct()];
    }

    /// <summary>The patterns of a writer that reach into the old keys and beyond them: behind the fence the rest of them is gone too.</summary>
    public IEnumerable<string> Wider(string before)
    {
        return Split(before)
            .Where(pattern =>
                Old.Any(prefix => Reaches(pattern, prefix))
                && !Old.Any(prefix => Literal(pattern).StartsWith(prefix, StringComparison.Ordinal))
            );
    }

    /// <summary>Whether a pattern lets old keys be written.</summary>
    public bool LetsWrite(string pattern) => !IsFor(pattern, "%R~") && Old.Any(prefix => Reaches(pattern, prefix));

    /// <summary>A name that the pattern matches.</summary>
    public static string NameLike(string pattern)
    {
        var (glob, name) = (GlobOf(pattern), new StringBuilder());
        for (var at = 0; at < glob.Length; at++)
        {
            if (glob[at] == '\\' && at + 1 < glob.Length)
                name.Append(glob[++at]);
            else if (glob[at] == '[' && glob.IndexOf(']', at) is > 0 and var end)
            {
                // Of what is not meant, something that nobody lists.
                name.Append(glob[at + 1] == '^' ? '~' : glob[at + 1]);
                at = end;
            }
            else
                name.Append(glob[at] is '*' or '?' ? 'x' : glob[at]);
        }

        return name.ToString();
    }

    private IEnumerable<string> Old => rules.Rules.SelectMany(rule => (string[])[rule.From, "{" + rule.From]);

    // Whether a pattern may match a name that begins with the prefix: known only as far as it has no wildcard.
    private static bool Reaches(string pattern, string prefix)
    {
        var literal = Literal(pattern);
        return literal.StartsWith(prefix, StringComparison.Ordinal) || prefix.StartsWith(literal, StringComparison.Ordinal);
    }

    // "~", "%R~", "%W~" or "%RW~".
    private static string RightOf(string pattern) => pattern[..(pattern.IndexOf('~', StringComparison.Ordinal) + 1)];

    private static bool IsFor(string pattern, string right) => pattern.StartsWith(right, StringComparison.Ordinal);

    private static string GlobOf(string pattern) => pattern[RightOf(pattern).Length..];

    private static string Literal(string pattern)
    {
        var glob = GlobOf(pattern);
        var wild = glob.AsSpan().IndexOfAny("*?[\\");
        return wild < 0 ? glob : glob[..wild];
    }

    private static string[] Split(string patterns) => patterns.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private async Task SetAsync(string writer, IEnumerable<string> patterns, CancellationToken cancellationToken)
    {
        RedisArg[] words = ["ACL", "SETUSER", writer, "resetkeys", .. patterns.Select(pattern => (RedisArg)pattern)];
        await server.SendAsync(words, ReplyParsers.Ignore, cancellationToken).ConfigureAwait(false);
    }
}
