namespace Onggi.Benchmarks.Sessions;

/// <summary>The process behind <c>session-sweeper CONNECTION</c>, which only tests and the benchmark start: looks for sessions past their deadline until its input ends or it is killed.</summary>
internal static class SweeperCommand
{
    public const string Name = "session-sweeper";

    public static async Task<int> RunAsync(string connection)
    {
        await using var node = await SessionBenchNode.StartAsync(
            connection,
            static options => options.RepublishForTests = TimeSpan.FromSeconds(1)
        );
        Console.WriteLine("sweeping");
        await Task.Run(Console.In.ReadLine);
        return 0;
    }
}
