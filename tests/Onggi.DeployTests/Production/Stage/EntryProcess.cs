using Onggi.Testing;

namespace Onggi.DeployTests.Production;

/// <summary>A server that one of the entry scripts starts, in a folder of its own; with us goes the folder of the whole set.</summary>
internal sealed class EntryProcess(string name, string root, IReadOnlyList<string> command, IReadOnlyDictionary<string, string> environment)
    : IAsyncDisposable
{
    private readonly WatchedProcess _process = new(name, root, $"{name}.log");

    /// <summary>What it is called in messages: <c>redis-0</c>.</summary>
    public string Name => name;

    /// <summary>Its process; 0 while it does not run.</summary>
    public int ProcessId => _process.ProcessId;

    public bool IsRunning => _process.IsRunning;

    /// <summary>Its last words.</summary>
    public string LastWords => _process.LastWords;

    /// <summary>Runs the script. The server is up some time after.</summary>
    /// <param name="more">What the script is told beside the usual.</param>
    public Task StartAsync(params (string Name, string Value)[] more) =>
        _process.StartAsync(command, environment.Concat(more.Select(pair => KeyValuePair.Create(pair.Name, pair.Value))));

    /// <inheritdoc cref="WatchedProcess.KillAsync"/>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>Ends it the polite way, as Kubernetes does.</summary>
    public Task StopAsync() => _process.StopAsync();

    /// <inheritdoc cref="WatchedProcess.Pause"/>
    public void Pause() => _process.Pause();

    /// <inheritdoc cref="WatchedProcess.Resume"/>
    public void Resume() => _process.Resume();

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
