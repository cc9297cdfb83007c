using System.Text.Json;

namespace Onggi.Cli.Backup;

/// <summary>Whose keys a backup holds.</summary>
/// <param name="System">The catalog's; empty without one.</param>
/// <param name="Environment">The catalog's.</param>
/// <param name="Prefix">What the keys begin with; empty for everything.</param>
/// <param name="Database">The numbered database; -1 for all.</param>
internal sealed record BackupSource(string System, string Environment, string Prefix, int Database);

/// <summary>That a backup was restored into a scratch server, and what came of it: a file beside the backup, bound to it by its sum.</summary>
internal sealed record BackupProof
{
    /// <summary>What such a file's name ends with.</summary>
    public const string Ending = ".proof";

    /// <summary>The backup's sum: of another file, or of a changed one, this is no proof.</summary>
    public required string Sum { get; init; }

    public required bool IsRdb { get; init; }

    /// <summary>When the backup was begun: milliseconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>When it was last proven; 0 for never.</summary>
    public required long VerifiedAt { get; init; }

    /// <summary>The version of the server that it was restored into.</summary>
    public string VerifiedWith { get; init; } = "";

    /// <summary>How long the proof took.</summary>
    public double Seconds { get; init; }

    public long Keys { get; init; }

    /// <summary>What the data took in the scratch server, in bytes.</summary>
    public long Memory { get; init; }

    public required BackupSource Source { get; init; }

    /// <summary>Writes it beside the backup, whole or not at all.</summary>
    public void Save(string backup)
    {
        var fresh = backup + Ending + ".new";
        File.Delete(fresh);
        using (var stream = new FileStream(fresh, ArchiveFormat.Private(FileMode.CreateNew)))
        {
            JsonSerializer.Serialize(stream, this, BackupJson.Default.BackupProof);
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, backup + Ending, overwrite: true);
    }

    /// <summary>What stands beside a backup; <c>null</c> where nothing does, or nothing that can be read.</summary>
    public static BackupProof? Load(string backup)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(backup + Ending), BackupJson.Default.BackupProof);
        }
        catch (Exception problem) when (problem is FileNotFoundException or JsonException)
        {
            return null;
        }
    }
}
