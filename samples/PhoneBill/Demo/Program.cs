using System.Runtime.InteropServices;
using PhoneBill.Demo;

using var stopping = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);

try
{
    var options = DemoOptions.Parse(args);
    if (options.WantsHelp)
    {
        Console.WriteLine(DemoOptions.Help);
        return 0;
    }

    return await Stage.RunAsync(options, stopping.Token);
}
catch (DemoException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}
catch (OperationCanceledException) when (stopping.IsCancellationRequested)
{
    return 130;
}

void Stop(PosixSignalContext signal)
{
    // We end in order: services first, then Redis, then the data directory.
    signal.Cancel = true;
    stopping.Cancel();
}
