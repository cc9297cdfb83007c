namespace Onggi;

/// <summary>The one switch that says whether awaits come back to the caller's context.</summary>
/// <remarks>
/// Off in production, as users of a library expect. A deterministic simulation turns it on before the first use
/// (<c>AppContext.SetSwitch("Onggi.CaptureContext", true)</c>), so that every continuation passes through its scheduler.
/// A static readonly field is a constant to the JIT: production pays nothing.
/// </remarks>
internal static class Rt
{
    internal static readonly bool Capture = AppContext.TryGetSwitch("Onggi.CaptureContext", out var on) && on;

    /// <summary>For awaiting a task without a result whose end is all that matters, however it ends.</summary>
    internal static readonly ConfigureAwaitOptions Quietly =
        ConfigureAwaitOptions.SuppressThrowing | (Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None);

    /// <summary>For what outlives its caller: until it is disposed, what is begun does not carry the caller's request or activity along.</summary>
    internal static AsyncFlowControl? WithoutFlow() => ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();

    /// <summary>How signals are made: who waits for one goes on elsewhere, never in the middle of who gives it.</summary>
    /// <remarks>A simulation that runs everything on one thread sets <see cref="TaskCreationOptions.None"/>, so that nothing passes through the thread pool.</remarks>
    internal static TaskCreationOptions Signals = TaskCreationOptions.RunContinuationsAsynchronously;

    /// <summary>Lets the caller go on before what follows; not in a simulation on one thread.</summary>
    internal static async Task YieldAsync()
    {
        if (Signals == TaskCreationOptions.None)
            return;
        await Task.CompletedTask.ConfigureAwait(
            ConfigureAwaitOptions.ForceYielding | (Capture ? ConfigureAwaitOptions.ContinueOnCapturedContext : ConfigureAwaitOptions.None)
        );
    }
}
