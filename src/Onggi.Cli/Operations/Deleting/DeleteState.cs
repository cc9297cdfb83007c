using System.Text.Json;
using System.Text.Json.Serialization;

namespace Onggi.Cli.Operations.Deleting;

/// <summary>How far a delete has come: enough to go on with it after it was stopped, however it was.</summary>
internal sealed class DeleteState
{
    /// <summary>What is removed.</summary>
    public required string Subject { get; init; }

    /// <summary>Where.</summary>
    public required string Redis { get; init; }

    /// <summary>The life of the server: a cursor is worth nothing in another one. Empty where it cannot be known.</summary>
    public required string RunId { get; set; }

    /// <summary>When it began.</summary>
    public required DateTimeOffset Began { get; init; }

    /// <summary>Which of the patterns is being walked.</summary>
    public int Pass { get; set; }

    /// <summary>All that stands before it in that walk is removed.</summary>
    public string Cursor { get; set; } = KeyPage.End;

    /// <summary>How many keys were removed.</summary>
    public long Removed { get; set; }

    /// <summary>How many of them went into the undo bundle.</summary>
    public long Saved { get; set; }

    /// <summary>The undo bundle; <c>null</c> for none.</summary>
    public string? Undo { get; init; }

    /// <summary>Begins the walks again, in this life of the server. What was removed stays so, and is not met again.</summary>
    public void BeginAnew(string runId) => (RunId, Pass, Cursor) = (runId, 0, KeyPage.End);
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DeleteState))]
internal sealed partial class DeleteStateJson : JsonSerializerContext;

/// <summary>The file that a <see cref="DeleteState"/> is kept in while it is not done.</summary>
/// <param name="path">Where.</param>
/// <param name="time">The clock.</param>
internal sealed class DeleteStateFile(string path, TimeProvider time)
{
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(250);

    private long _written;

    public string Path => path;

    /// <summary>What stands there; <c>null</c> for nothing.</summary>
    /// <exception cref="ToolException">It cannot be read.</exception>
    public DeleteState? Read()
    {
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(path), DeleteStateJson.Default.DeleteState);
        }
        catch (JsonException problem)
        {
            throw new ToolException(
                $"{path} is not the state of a delete ({problem.Message}). Name another file with --state, or add --anew."
            );
        }
    }

    /// <summary>Writes it, so that there is always a whole one.</summary>
    public void Write(DeleteState state)
    {
        var next = path + ".new";
        File.WriteAllText(next, JsonSerializer.Serialize(state, DeleteStateJson.Default.DeleteState));
        File.Move(next, path, overwrite: true);
        _written = time.GetTimestamp();
    }

    /// <summary>Writes it when that was not done for a while.</summary>
    public void WriteSometimes(DeleteState state)
    {
        if (time.GetElapsedTime(_written) >= Between)
            Write(state);
    }

    /// <summary>It is done: there is nothing to go on with.</summary>
    public void Remove() => File.Delete(path);
}
