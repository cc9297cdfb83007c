using Microsoft.Extensions.Logging;

namespace Onggi.Migration;

/// <summary>What the shim says.</summary>
internal static partial class MigrationLog
{
    [LoggerMessage(9000, LogLevel.Information, "The migration {Name} is in epoch {Epoch}.")]
    public static partial void Entered(ILogger logger, string name, MigrationEpoch epoch);

    [LoggerMessage(
        9001,
        LogLevel.Warning,
        "The epoch of the migration {Name} cannot be read: {Reason} The last one known, {Epoch}, holds; the fence refuses what would be written to the wrong side."
    )]
    public static partial void CannotRead(ILogger logger, string name, string reason, MigrationEpoch epoch);

    [LoggerMessage(9002, LogLevel.Warning, "A read of the migration {Name} differs between the two sides.")]
    public static partial void Differs(ILogger logger, string name);
}
