using System.Net;
using Onggi.Testing;

namespace Onggi.ServerTests.Cli;

/// <summary>Answers every question with the same page.</summary>
internal sealed class MetricsServer : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Task _answering;

    public MetricsServer(string page)
    {
        Address = $"http://127.0.0.1:{LoopbackPorts.Free()}/metrics/";
        _listener.Prefixes.Add(Address);
        _listener.Start();
        _answering = AnswerAsync(page);
    }

    public string Address { get; }

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _answering;
    }

    private async Task AnswerAsync(string page)
    {
        try
        {
            while (true)
            {
                var context = await _listener.GetContextAsync();
                await using var output = new StreamWriter(context.Response.OutputStream);
                await output.WriteAsync(page);
            }
        }
        catch (Exception end) when (end is HttpListenerException or ObjectDisposedException)
        {
            // Closed: nobody asks any more.
        }
    }
}
