namespace Onggi.Scripts;

/// <summary>Work that is done once more after each time it is asked for; what is asked for while it runs is one time together. It never runs twice at once, and no asking is lost.</summary>
/// <param name="work">What is done. What it throws ends this time.</param>
internal sealed class RepeatedWork(Func<Task> work)
{
    private readonly Lock _gate = new(); // Guards the three below.
    private bool _again;
    private bool _isRunning;
    private Task _running = Task.CompletedTask;

    /// <summary>It is to be done again.</summary>
    public void Ask()
    {
        lock (_gate)
        {
            _again = true;
            if (_isRunning)
                return;
            _isRunning = true;
            using var flow = Rt.WithoutFlow();
            _running = RunAsync();
        }
    }

    /// <summary>Until it does not run.</summary>
    public Task EndAsync()
    {
        lock (_gate)
            return _running;
    }

    private async Task RunAsync()
    {
        // Who asks holds the gate, and must not wait for the work.
        await Rt.YieldAsync().ConfigureAwait(Rt.Capture);
        while (true)
        {
            lock (_gate)
            {
                if (!_again)
                {
                    // Said here and not by the task's end, which comes a moment later: who asks in between would find it running, and nobody would do it.
                    _isRunning = false;
                    return;
                }

                _again = false;
            }

            await work().ConfigureAwait(Rt.Quietly);
        }
    }
}
