namespace Onggi.Migration;

/// <summary>Which migration a service takes part in, and how it behaves meanwhile.</summary>
public sealed class OnggiMigrationOptions
{
    /// <summary>The environment of the migration's rules.</summary>
    /// <value>Required.</value>
    public string Environment { get; set; } = "";

    /// <summary>The name of the migration's rules.</summary>
    /// <value>Required.</value>
    public string Name { get; set; } = "";

    /// <summary>What the old keys begin with.</summary>
    /// <value>Default empty.</value>
    public string OldPrefix { get; set; } = "";

    /// <summary>What the new keys begin with.</summary>
    /// <value>Default empty.</value>
    public string NewPrefix { get; set; } = "";

    /// <summary>How often the epoch is read without a reason. For so long after the cut-over a process that only reads can read old values.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan RefreshEvery { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a refused call waits for the epoch to change: longer than a cut-over takes.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan CutOverPatience { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>In the phase <see cref="MigrationPhase.Shadow"/>, one of so many reads is done on the new side as well and compared; 0 for none.</summary>
    /// <value>Default 100.</value>
    public int ShadowEvery { get; set; } = 100;

    /// <summary>How long a difference is waited out before it counts: the tool is that far behind.</summary>
    /// <value>Default 500 ms.</value>
    public TimeSpan ShadowPatience { get; set; } = TimeSpan.FromMilliseconds(500);

    internal string EpochKey => $"{Environment}:onggi:migration:{Name}";

    /// <exception cref="ArgumentException">An option has a value that means nothing; the message says which.</exception>
    internal void Check()
    {
        ArgumentException.ThrowIfNullOrEmpty(Environment, nameof(Environment));
        ArgumentException.ThrowIfNullOrEmpty(Name, nameof(Name));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(RefreshEvery, TimeSpan.Zero, nameof(RefreshEvery));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(CutOverPatience, TimeSpan.Zero, nameof(CutOverPatience));
        ArgumentOutOfRangeException.ThrowIfNegative(ShadowEvery, nameof(ShadowEvery));
        ArgumentOutOfRangeException.ThrowIfLessThan(ShadowPatience, TimeSpan.Zero, nameof(ShadowPatience));
    }
}
