namespace Onggi.Cli.Migration;

/// <summary>What is moved where, as a file of rules says it. Bytes of keys are compared, so names need not be text.</summary>
/// <param name="Name">Names the epoch and the run: small letters, digits, hyphens.</param>
/// <param name="Environment">The environment whose prefix the epoch has.</param>
/// <param name="Source">Where the keys are.</param>
/// <param name="Target">Where they are to be; the same as the source where the file names none.</param>
/// <param name="Writers">The ACL users who write the old keys: they are fenced.</param>
/// <param name="Keep">Key patterns that the writers keep when they are fenced, besides the new names.</param>
/// <param name="FencesReads">Whether the fence also refuses reads of the old keys.</param>
/// <param name="LeavesOthers">Whether keys that no rule names stay where they are; otherwise they are a finding.</param>
/// <param name="Rules">From prefix to prefix.</param>
internal sealed record MigrationRules(
    string Name,
    string Environment,
    MigrationEndpoint Source,
    MigrationEndpoint Target,
    IReadOnlyList<string> Writers,
    IReadOnlyList<string> Keep,
    bool FencesReads,
    bool LeavesOthers,
    IReadOnlyList<MigrationRule> Rules
)
{
    /// <summary>The key that says which side is the true one.</summary>
    public string EpochKey => $"{Environment}:onggi:migration:{Name}";

    /// <summary>The key whose holder is the run that may write.</summary>
    public string RunKey => $"{EpochKey}:run";

    /// <summary>Names that are never moved, compared or removed: they are ours.</summary>
    public string SystemPrefix => $"{Environment}:onggi:";

    /// <summary>The same, backwards: what is new becomes old again.</summary>
    public MigrationRules Reverse() =>
        this with
        {
            Source = Target,
            Target = Source,
            Rules =
            [
                .. Rules.Select(rule =>
                    rule with
                    {
                        From = rule.To,
                        To = rule.From,
                        Database = rule.TargetDatabase,
                        TargetDatabase = rule.Database,
                    }
                ),
            ],
        };
}

/// <summary>A server: a connection string, or the environment variable that holds one.</summary>
internal sealed record MigrationEndpoint(string? Redis, string? Variable);

/// <summary>Keys that begin with one prefix get another; their auxiliary keys, which have a brace before it, go with them.</summary>
/// <param name="Database">The number of the database they are in.</param>
/// <param name="From">What their names begin with; empty for all of the database.</param>
/// <param name="TargetDatabase">The database they come to.</param>
/// <param name="To">What their names begin with there.</param>
/// <param name="Class">What they are: caches and locks are not moved.</param>
/// <param name="Moves">Whether they are moved.</param>
internal sealed record MigrationRule(int Database, string From, int TargetDatabase, string To, MigrationClass Class, bool Moves)
{
    public override string ToString() => $"db{Database} {From}* → db{TargetDatabase} {To}* ({Class.ToString().ToLowerInvariant()})";
}

/// <summary>What keys are to those who use them.</summary>
internal enum MigrationClass
{
    State,
    Session,
    Token,
    Limit,
    Stream,

    /// <summary>Not moved: it is loaded again.</summary>
    Cache,

    /// <summary>Not moved: the cut-over waits until none is held.</summary>
    Lock,
}
