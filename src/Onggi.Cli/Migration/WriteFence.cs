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

    /// <summary>What a writer may when the fence stands.</summary>
    public IReadOnlyList<string> PatternsBehind(string before)
    {
        var old = rules.Rules.SelectMany(rule => (string[])[rule.From, "{" + rule.From]).ToList();
        var kept = new List<string>();
        kept.AddRange(Split(before).Where(pattern => !old.Exists(prefix => Reaches(pattern, prefix))));
        if (!rules.FencesReads)
            kept.AddRange(old.Select(prefix => "%R~" + KeyMap.Glob(prefix)));
        if (isOneServer)
            kept.AddRange(rules.Rules.SelectMany(rule => (string[])["~" + KeyMap.Glob(rule.To), "~" + KeyMap.Glob("{" + rule.To)]));
        kept.Add("%R~" + KeyMap.Glob(rules.SystemPrefix));
        kept.AddRange(rules.Keep);
        return [.. kept.Distinct()];
    }

    /// <summary>The patterns of a writer that reach into the old keys and beyond them: behind the fence the rest of them is gone too.</summary>
    public IEnumerable<string> Wider(string before)
    {
        var old = rules.Rules.SelectMany(rule => (string[])[rule.From, "{" + rule.From]).ToList();
        return Split(before)
            .Where(pattern =>
                old.Exists(prefix => Reaches(pattern, prefix))
                && !old.Exists(prefix => Literal(pattern).StartsWith(prefix, StringComparison.Ordinal))
            );
    }

    // Whether a pattern may match a name that begins with the prefix: known only as far as it has no wildcard.
    private static bool Reaches(string pattern, string prefix)
    {
        var literal = Literal(pattern);
        return literal.StartsWith(prefix, StringComparison.Ordinal) || prefix.StartsWith(literal, StringComparison.Ordinal);
    }

    private static string Literal(string pattern)
    {
        var glob = pattern[(pattern.IndexOf('~', StringComparison.Ordinal) + 1)..];
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
