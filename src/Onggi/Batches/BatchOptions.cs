using Microsoft.Extensions.Options;

namespace Onggi.Batches;

/// <summary>How large batches may be.</summary>
public sealed class BatchOptions
{
    /// <summary>The most entries in a batch. Any number flows through the connection in portions; what is bounded is this process's memory, and how much can fail at once.</summary>
    /// <value>Default 10,000.</value>
    public int MaxEntries { get; set; } = 10_000;

    /// <summary>The most bytes of a batch: names and JSON of all its entries together.</summary>
    /// <value>Default 32 MiB.</value>
    public long MaxBytes { get; set; } = 32L << 20;

    /// <summary>The most entries in an atomic batch: Redis serves nobody else while it executes one.</summary>
    /// <value>Default 500.</value>
    public int MaxAtomicEntries { get; set; } = 500;

    /// <summary>The most bytes of an atomic batch.</summary>
    /// <value>Default 4 MiB.</value>
    public long MaxAtomicBytes { get; set; } = 4L << 20;
}

/// <summary>Finds the mistakes in <see cref="BatchOptions"/>.</summary>
internal static class BatchOptionsValidator
{
    private const int MostEntries = 1_000_000;
    private const long MostBytes = 1L << 30;
    private const int MostAtomicEntries = 10_000;
    private const long MostAtomicBytes = 64L << 20;

    public static void Validate(BatchOptions options, string path, ValidateOptionsResultBuilder result)
    {
        Check(options.MaxEntries, MostEntries, nameof(BatchOptions.MaxEntries), "all of it is in memory until it is sent");
        Check(options.MaxBytes, MostBytes, nameof(BatchOptions.MaxBytes), "all of it is in memory until it is sent");
        Check(options.MaxAtomicEntries, MostAtomicEntries, nameof(BatchOptions.MaxAtomicEntries), "Redis serves nobody else meanwhile");
        Check(options.MaxAtomicBytes, MostAtomicBytes, nameof(BatchOptions.MaxAtomicBytes), "Redis serves nobody else meanwhile");

        void Check(long value, long most, string option, string why)
        {
            if (value < 1 || value > most)
                result.AddError($"is {value}, but {why}. Write a number from 1 to {most}.", $"{path}:{option}");
        }
    }
}
