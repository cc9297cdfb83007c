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
catch (Exception) when (stopping.IsCancellationRequested)
{
    // Whatever fails now fails because everything ends: Ctrl-C in a terminal reaches the services as well.
    return 130;
}
catch (DemoException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 2;
}

void Stop(PosixSignalContext signal)
{
    // We end in order: services first, then Redis, then the data directory.
    signal.Cancel = true;
    stopping.Cancel();
}
