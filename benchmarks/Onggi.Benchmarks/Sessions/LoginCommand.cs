using System.Globalization;
using Onggi.Sessions;

namespace Onggi.Benchmarks.Sessions;

/// <summary>The process behind <c>session-logins CONNECTION USER POLICY COUNT</c>, which only tests start: signs one user in so many times at once, when it is told to.</summary>
internal static class LoginCommand
{
    public const string Name = "session-logins";

    public static async Task<int> RunAsync(string connection, string user, string policy, string count)
    {
        await using var node = await SessionBenchNode.StartAsync(connection, options => options.Sweep = false);
        var details = new SessionDetails { Limit = new SessionLimit(5, Enum.Parse<SessionLimitPolicy>(policy)) };
        // The scripts are known to the server, and the connections stand, before the race begins.
        await node.Sessions.CreateAsync("nobody", details);
        Console.WriteLine("ready");
        await Task.Run(Console.In.ReadLine);
        var made = await Task.WhenAll(
            Enumerable
                .Range(0, int.Parse(count, CultureInfo.InvariantCulture))
                .Select(_ => Task.Run(async () => await node.Sessions.CreateAsync(user, details)))
        );
        foreach (var one in made.Where(one => one.IsCreated))
            Console.WriteLine(one.Id.Reveal());
        Console.WriteLine("done");
        return 0;
    }
}
