namespace Onggi.Testing;

/// <summary>One size of the model in <c>benchmarks/model/coherence.pml</c>, which must be found right.</summary>
/// <param name="Name">As the model's header calls it.</param>
/// <param name="IsSmall">Whether it is done in seconds.</param>
/// <param name="Defines">What is defined for it.</param>
public sealed record ModelConfiguration(string Name, bool IsSmall, params IReadOnlyList<string> Defines)
{
    /// <summary>Its name: test runners print it.</summary>
    public override string ToString() => Name;
}

/// <summary>A mistake built into the model, which must be found out.</summary>
/// <param name="Name">As the model's header calls it, and as the switch of the same mistake in the code is called.</param>
/// <param name="Configuration">The size in which it shows; without the mistake that size is right.</param>
/// <param name="Breaks">The promise that it breaks first: <c>G1</c> to <c>G4</c>.</param>
public sealed record ModelMutant(string Name, ModelConfiguration Configuration, string Breaks)
{
    /// <summary>What is defined for it.</summary>
    public IReadOnlyList<string> Defines => [.. Configuration.Defines, $"MUT_{Name}"];

    /// <summary>Its name: test runners print it.</summary>
    public override string ToString() => Name;
}

/// <summary>The model of the coherent cache: where it lies, in which sizes it is checked, and which mistakes it must find.</summary>
public static class CoherenceModel
{
    // Sizes are chosen so that each trap has room to show. B=0 with a clock of one tick is the smallest that tells old from new.
    private static readonly ModelConfiguration Hits = new("hits", true, "NW=1", "NREM=1", "TMAX=2", "NBREAK=0", "NORETRY", "NOEVICT");
    private static readonly ModelConfiguration Evicts = new("evicts", true, "NW=1", "NREM=1", "B=0", "TMAX=1", "NBREAK=0");
    private static readonly ModelConfiguration Cut = new("cut", true, "NW=1", "NREM=1", "B=0", "TMAX=1", "NORETRY", "NOEVICT");
    private static readonly ModelConfiguration Writers = new("writers", true, "NREM=1", "NGET=1", "B=0", "TMAX=1", "NBREAK=0", "NORETRY");

    private static readonly ModelConfiguration Readers = new(
        "readers",
        true,
        "NG=2",
        "NW=1",
        "NREM=0",
        "NGET=1",
        "TMAX=1",
        "NBREAK=0",
        "NORETRY"
    );

    private static readonly ModelConfiguration Joins = new(
        "joins",
        true,
        "JOIN",
        "NG=2",
        "NW=1",
        "NREM=0",
        "NGET=1",
        "B=0",
        "TMAX=1",
        "NBREAK=0",
        "NORETRY",
        "NOEVICT"
    );

    private static readonly ModelConfiguration Failover = new(
        "failover",
        true,
        "FAILOVER",
        "NW=1",
        "NREM=1",
        "NGET=1",
        "B=0",
        "TMAX=1",
        "NBREAK=0",
        "NORETRY",
        "NOEVICT"
    );

    /// <summary>All sizes, the small ones first.</summary>
    public static IReadOnlyList<ModelConfiguration> Configurations { get; } =
    [
        Hits,
        Evicts,
        Cut,
        Writers,
        Readers,
        Joins,
        Failover,
        new("large.cut", false, "NW=1", "NREM=1", "TMAX=2"),
        new("large.writers", false, "NREM=1", "TMAX=2", "NBREAK=0", "NORETRY", "NOEVICT"),
        new("large.readers", false, "NG=2", "NW=1", "NREM=1", "NGET=1", "B=0", "TMAX=1", "NBREAK=0", "NORETRY", "NOEVICT"),
        new("large.joins", false, "JOIN", "NG=2", "NW=1", "NREM=0", "NGET=1", "TMAX=2", "NBREAK=0", "NORETRY"),
        new("large.failover", false, "FAILOVER", "NW=1", "NREM=1", "NGET=1", "TMAX=2", "NBREAK=0"),
        new("large.failovers", false, "FAILOVER", "NW=1", "NREM=1", "NGET=1", "TMAX=2", "NORETRY", "NOEVICT"),
        new("large.both", false, "FULL", "NW=1", "NGET=1", "B=0", "TMAX=1", "NBREAK=0", "NORETRY", "NOEVICT"),
        new("large.bcast", false, "BCAST", "NW=1", "NREM=1", "TMAX=2", "NBREAK=0"),
    ];

    /// <summary>All mistakes.</summary>
    public static IReadOnlyList<ModelMutant> Mutants { get; } =
    [
        new("NoLease", Hits, "G1"),
        new("ForeignDel", Hits, "G1"),
        new("TokenReuse", Readers, "G1"),
        new("BeforeCommit", Hits, "G1"),
        new("NoFlush", Cut, "G2"),
        new("NoProof", Hits, "G2"),
        new("ProofRecv", Hits, "G2"),
        new("EntryFirst", Hits, "G2"),
        new("LateInsert", Hits, "G2"),
        new("NoLoop", Hits, "G2"),
        new("JoinAny", Joins, "G2"),
        new("NoWait", Hits, "G3"),
        new("FoValue", Failover, "G1"),
        new("FoLease", Failover, "G1"),
    ];

    /// <summary>The model's file, beneath the repository's root.</summary>
    public static string FileIn(string root) => Path.Combine(root, "benchmarks", "model", "coherence.pml");

    /// <summary>The promise whose check failed, told by the words of the check; <c>null</c> when it is none of them.</summary>
    /// <param name="failure">What the checker says went wrong.</param>
    public static string? BrokenPromise(string failure) =>
        failure switch
        {
            _ when failure.Contains("invalid end state", StringComparison.Ordinal) => "G4",
            _ when failure.Contains("t0>", StringComparison.Ordinal) => "G2",
            _ when failure.Contains(">=s0", StringComparison.Ordinal) => "G3",
            // Redis took, or answered, what an executed invalidation had made old.
            _ when failure.Contains(">=maxexec", StringComparison.Ordinal) || failure.Contains(">=a0", StringComparison.Ordinal) => "G1",
            _ => null,
        };
}
