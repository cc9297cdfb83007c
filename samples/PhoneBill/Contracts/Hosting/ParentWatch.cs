using Microsoft.Extensions.Hosting;

namespace PhoneBill.Contracts;

/// <summary>Ends the service when its standard input ends: whoever started it is gone, even if it was killed and could not say so.</summary>
public sealed class ParentWatch(IHostApplicationLifetime lifetime) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        // A thread of its own: reading standard input blocks and cannot be cancelled.
        new Thread(Watch) { IsBackground = true, Name = "parent watch" }.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void Watch()
    {
        using var input = Console.OpenStandardInput();
        Span<byte> buffer = stackalloc byte[64];
        while (input.Read(buffer) > 0) { }

        lifetime.StopApplication();
    }
}
