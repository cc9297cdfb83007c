using System.Text;

namespace Onggi.Cli.Migration;

/// <summary>One key on its way.</summary>
internal readonly record struct KeyMove(int SourceDatabase, KeyName Source, int TargetDatabase, KeyName Target, MigrationRule Rule);

/// <summary>Which key gets which name. The longest prefix counts; a name with a brace before the prefix is an auxiliary one and keeps its brace.</summary>
internal sealed class KeyMap
{
    private readonly List<Side> _forward;
    private readonly List<Side> _back;
    private readonly byte[] _system;

    public KeyMap(MigrationRules rules)
    {
        _forward = [.. rules.Rules.Select(rule => new Side(rule, rule.Database, rule.From)).OrderByDescending(side => side.Plain.Length)];
        _back = [.. rules.Rules.Select(rule => new Side(rule, rule.TargetDatabase, rule.To)).OrderByDescending(side => side.Plain.Length)];
        _system = Encoding.UTF8.GetBytes(rules.SystemPrefix);
        SourceDatabases = [.. rules.Rules.Select(rule => rule.Database).Distinct().Order()];
        TargetDatabases = [.. rules.Rules.Select(rule => rule.TargetDatabase).Distinct().Order()];
    }

    public IReadOnlyList<int> SourceDatabases { get; }

    public IReadOnlyList<int> TargetDatabases { get; }

    /// <summary>The rule of a key, whether it moves or not; <c>null</c> where none names it.</summary>
    public MigrationRule? RuleOf(int database, KeyName key) => Find(_forward, database, key.Bytes)?.Rule;

    /// <summary>Whether the key is the tool's own.</summary>
    public bool IsSystem(KeyName key) => key.Bytes.AsSpan().StartsWith(_system);

    /// <summary>Where a key goes; <c>null</c> where no rule moves it.</summary>
    public KeyMove? Move(int database, KeyName key)
    {
        if (IsSystem(key) || Find(_forward, database, key.Bytes) is not { Rule.Moves: true } side)
            return null;
        var to = side.Rule.To;
        return new KeyMove(database, key, side.Rule.TargetDatabase, Renamed(key.Bytes, side.Plain, Encoding.UTF8.GetBytes(to)), side.Rule);
    }

    /// <summary>From where a key of the target can have come; empty where no rule leads to its name.</summary>
    public IEnumerable<KeyMove> Origins(int database, KeyName key)
    {
        if (IsSystem(key))
            yield break;
        foreach (var side in _back)
        {
            if (side.Database != database || !side.Holds(key.Bytes))
                continue;
            // What stays where it is may lie under what moves: on the way back, nobody has brought it there.
            if (!side.Rule.Moves)
                yield break;
            var source = Renamed(key.Bytes, side.Plain, Encoding.UTF8.GetBytes(side.Rule.From));

            // A longer prefix of another rule may lead this name elsewhere.
            if (Move(side.Rule.Database, source) is { } move && move.Target.Equals(key) && move.TargetDatabase == database)
                yield return move;
        }
    }

    /// <summary>What the names of the source begin with, none of them the beginning of another; empty means all names.</summary>
    public static IReadOnlyList<string> Prefixes(IEnumerable<MigrationRule> rules)
    {
        var kept = new List<string>();
        foreach (var prefix in rules.SelectMany(rule => (string[])[rule.From, "{" + rule.From]).Order(StringComparer.Ordinal))
        {
            if (!kept.Exists(other => prefix.StartsWith(other, StringComparison.Ordinal)))
                kept.Add(prefix);
        }

        return kept is [""] ? [] : kept;
    }

    /// <summary>A glob that matches what begins with this, and nothing else.</summary>
    public static string Glob(string prefix)
    {
        var glob = new StringBuilder(prefix.Length + 1);
        foreach (var c in prefix)
        {
            if (c is '*' or '?' or '[' or ']' or '\\')
                glob.Append('\\');
            glob.Append(c);
        }

        return glob.Append('*').ToString();
    }

    private static KeyName Renamed(byte[] key, byte[] from, byte[] to)
    {
        var brace = IsAuxiliary(key, from) ? 1 : 0;
        var name = new byte[key.Length - from.Length + to.Length];
        key.AsSpan(0, brace).CopyTo(name);
        to.CopyTo(name.AsSpan(brace));
        key.AsSpan(brace + from.Length).CopyTo(name.AsSpan(brace + to.Length));
        return new KeyName(name);
    }

    private static bool IsAuxiliary(ReadOnlySpan<byte> key, ReadOnlySpan<byte> prefix) =>
        key is [(byte)'{', .. var rest] && rest.StartsWith(prefix);

    private static Side? Find(List<Side> sides, int database, byte[] key)
    {
        foreach (var side in sides)
        {
            if (side.Database == database && side.Holds(key))
                return side;
        }

        return null;
    }

    private sealed class Side(MigrationRule rule, int database, string prefix)
    {
        public MigrationRule Rule { get; } = rule;

        public int Database { get; } = database;

        public byte[] Plain { get; } = Encoding.UTF8.GetBytes(prefix);

        public bool Holds(ReadOnlySpan<byte> key) => IsAuxiliary(key, Plain) || key.StartsWith(Plain);
    }
}

/// <summary>A key's name: bytes, compared as such.</summary>
internal readonly struct KeyName(byte[] bytes) : IEquatable<KeyName>
{
    public byte[] Bytes { get; } = bytes;

    public bool Equals(KeyName other) => Bytes.AsSpan().SequenceEqual(other.Bytes);

    public override bool Equals(object? obj) => obj is KeyName other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    /// <summary>For people: text where it is text, what a terminal would act on made visible.</summary>
    public override string ToString() => Words.Key(Encoding.UTF8.GetString(Bytes));
}
