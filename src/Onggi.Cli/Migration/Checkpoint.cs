using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Onggi.Cli.Migration;

/// <summary>How far a migration has come. In this order; what is written down has been begun, and may or may not be done.</summary>
internal enum MigrationStep
{
    /// <summary>Nothing was written anywhere.</summary>
    Planned,

    /// <summary>The first walk over the source.</summary>
    Copying,

    /// <summary>Comparing everything, and repairing what differs.</summary>
    Comparing,

    /// <summary>Both sides are equal but for what changes now.</summary>
    Ready,

    /// <summary>The writers' rights are written down, and may be taken.</summary>
    Fencing,

    /// <summary>Everything is copied; the epoch may have been changed.</summary>
    Flipping,

    /// <summary>The target is the true one.</summary>
    Done,

    /// <summary>What was copied is being removed.</summary>
    RollingBack,

    /// <summary>The source is as it was, and nothing of ours is at the target.</summary>
    RolledBack,

    /// <summary>The old keys are removed.</summary>
    Retired,

    /// <summary>They are being removed. (Behind the others: the numbers stand in files.)</summary>
    Retiring,
}

/// <summary>What a run writes down so that the next one goes on where it was killed: a file beside the rules.</summary>
internal sealed class Checkpoint
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true };

    public string Name { get; set; } = "";

    /// <summary>Of the rules it belongs to.</summary>
    public string Rules { get; set; } = "";

    /// <summary>Whose run it is: the value of the key that only one run holds.</summary>
    public string Token { get; set; } = "";

    /// <summary>Whether the keys are on their way back.</summary>
    public bool Back { get; set; }

    public MigrationStep Step { get; set; }

    /// <summary>The source's life: a cursor means nothing in another one.</summary>
    public string SourceRunId { get; set; } = "";

    /// <summary>Where the walk over a database goes on; <c>done</c> where it has ended.</summary>
    public Dictionary<int, string> Cursors { get; set; } = [];

    /// <summary>How many keys the source had when it was last looked at.</summary>
    public long SourceKeys { get; set; }

    /// <summary>Keys that go in pieces: database, and the name in Base64.</summary>
    public List<string> Big { get; set; } = [];

    /// <summary>The writers' patterns before the fence; empty while there is none.</summary>
    public Dictionary<string, string> Fenced { get; set; } = [];

    /// <summary>The same for the way back.</summary>
    public Dictionary<string, string> FencedBack { get; set; } = [];

    /// <summary>Where old keys are kept before they are removed; <c>null</c> for nowhere.</summary>
    public string? Undo { get; set; }

    public long Copied { get; set; }

    /// <summary>The number of the last epoch that was written down.</summary>
    public long Epoch { get; set; }

    public double? PauseMilliseconds { get; set; }

    /// <summary>Reads it; a new one where there is none.</summary>
    /// <exception cref="ToolException">It cannot be read.</exception>
    public static Checkpoint? Load(string file)
    {
        if (!File.Exists(file))
            return null;
        try
        {
            return JsonSerializer.Deserialize<Checkpoint>(File.ReadAllText(file), Format) ?? throw new JsonException("It is null.");
        }
        catch (JsonException problem)
        {
            throw new ToolException(
                $"the state {file} cannot be read: {problem.Message} Put it away, and roll back by the rules alone: onggi migrate rollback. Copies that have changed since stay then, and so does a fence, if there is one."
            );
        }
    }

    /// <summary>Writes it whole or not at all, down to the disk.</summary>
    public void Save(string file)
    {
        var fresh = file + ".new";
        using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write, FileShare.None, 4096, FileOptions.WriteThrough))
        {
            JsonSerializer.Serialize(stream, this, Format);
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, file, overwrite: true);
    }

    /// <summary>Of what the rules say, so that a file that was changed meanwhile is noticed.</summary>
    public static string DigestOf(MigrationRules rules)
    {
        var text = string.Join('\n', rules.Rules.Select(rule => $"{rule}|{rule.Moves}").Prepend($"{rules.Environment}|{rules.Name}"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }
}
