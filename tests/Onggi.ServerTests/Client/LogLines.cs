using Microsoft.Extensions.Logging;

namespace Onggi.ServerTests.Client;

/// <summary>Everything that is logged, as text: message, values, exception.</summary>
internal sealed class LogLines : ILoggerFactory, ILogger
{
    private readonly Lock _gate = new();
    private readonly List<(int Id, string Text)> _lines = [];

    public IReadOnlyList<(int Id, string Text)> All
    {
        get
        {
            lock (_gate)
                return [.. _lines];
        }
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) { }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel,
        EventId eventId,
        TState state,
        Exception? exception,
        Func<TState, Exception?, string> formatter
    )
    {
        var values = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(';', pairs.Select(pair => pair.Value)) : "";
        lock (_gate)
            _lines.Add((eventId.Id, $"{formatter(state, exception)} {values} {exception}"));
    }

    public void Dispose() { }
}
