namespace PhoneBill.Demo;

/// <summary>What the command line asks for.</summary>
public sealed record DemoOptions
{
    public const string Help = """
        Starts Redis, the PhoneBill services and the legacy system behind them, tells their story with real calls,
        and stays up until Ctrl-C.

          --once            end after the story: exit code 0 when all happened as told, 1 when not
          --json            print the story as one JSON document, nothing else (implies --once)
          --no-story        start everything and tell nothing
          --redis-port N    Redis listens on N (6383)
          --port-base N     the services listen from N on (8080): Auth N+1, Users N+2, BillInquiry N+3 and N+103,
                            ProductChange N+4, KOS N+10
          --keep-data       do not remove the database and the logs at the end
          --help            this text
        """;

    public bool Once { get; init; }
    public bool Json { get; init; }
    public bool NoStory { get; init; }
    public bool KeepData { get; init; }
    public bool WantsHelp { get; init; }
    public int RedisPort { get; init; } = 6383;
    public int PortBase { get; init; } = 8080;

    /// <exception cref="DemoException">An argument is unknown or not a port.</exception>
    public static DemoOptions Parse(string[] args)
    {
        var options = new DemoOptions();
        for (var i = 0; i < args.Length; i++)
        {
            options = args[i] switch
            {
                "--once" => options with { Once = true },
                "--json" => options with { Json = true, Once = true },
                "--no-story" => options with { NoStory = true },
                "--keep-data" => options with { KeepData = true },
                "--help" or "-h" => options with { WantsHelp = true },
                "--redis-port" => options with { RedisPort = Port(args, ++i) },
                "--port-base" => options with { PortBase = Port(args, ++i) },
                var other => throw new DemoException($"'{other}' is not an option. --help lists them."),
            };
        }

        return options;
    }

    private static int Port(string[] args, int at) =>
        at < args.Length && int.TryParse(args[at], out var port) && port is >= 1024 and <= 65_000
            ? port
            : throw new DemoException($"{args[at - 1]} wants a port from 1024 to 65000, for example {args[at - 1]} 9100.");
}

/// <summary>The demonstration cannot go on, for a reason that its user can do something about: the message is all that is shown.</summary>
public sealed class DemoException(string message) : Exception(message);
