using Onggi.Client.Resp;

namespace Onggi.Client.Routing;

/// <summary>What a command means on a connection that all callers share.</summary>
internal static class SharedConnection
{
    private const CommandFlags Suspect = CommandFlags.Connection | CommandFlags.Blocks | CommandFlags.BlocksIfAsked;

    /// <summary>What the caller asked for, and what is known of the command besides: that its reply is long, that asking twice is harmless.</summary>
    /// <remarks>
    /// Commands that write are asked a second time only when their caller says that it may be: a SET that is executed twice is the same SET, but not when somebody else has written in
    /// between.
    /// </remarks>
    /// <exception cref="ArgumentException">It would change the connection for everybody, or hold it up.</exception>
    public static CommandOptions OptionsOf(in Command command, CommandInfo info, CommandOptions options)
    {
        if ((info.Flags & Suspect) != CommandFlags.None && (info.ChangesConnection || info.Blocks(command.Args)))
            throw Refusal(info);
        if (info.IsBulk)
            options |= CommandOptions.Bulk;
        return info.OnlyReads || info.OnlyAsksServer ? options | CommandOptions.Idempotent : options;
    }

    private static ArgumentException Refusal(CommandInfo info) =>
        new(
            info.Name switch
            {
                "SUBSCRIBE" => "SUBSCRIBE has a connection of its own. Use RedisClient.SubscribeAsync.",
                "PSUBSCRIBE" => "PSUBSCRIBE has a connection of its own. Use RedisClient.SubscribePatternAsync.",
                "SSUBSCRIBE" => "SSUBSCRIBE has a connection of its own. Use RedisClient.SubscribeShardedAsync.",
                "UNSUBSCRIBE" or "PUNSUBSCRIBE" or "SUNSUBSCRIBE" => $"{info.Name} has no meaning here. Dispose the RedisSubscription.",
                "HELLO" or "AUTH" => $"{info.Name} is said when a connection is made. Set User and Password in the options.",
                "SELECT" =>
                    "SELECT would change the database for everybody who shares the connection. Set Database in the options, and have a client for each.",
                "CLIENT SETNAME" => "CLIENT SETNAME is said when a connection is made. Set ClientName in the options.",
                "WAIT" or "WAITAOF" =>
                    $"{info.Name} speaks of the writes of its own connection, and holds it up. Use RedisClient.LeaseAsync.",
                _ when info.ChangesConnection =>
                    $"{info.Name} would change the connection that all callers share. Use a connection of your own: RedisClient.LeaseAsync.",
                _ =>
                    $"{info.Name} would hold up the connection that all callers share. Use a connection of your own: RedisClient.LeaseAsync.",
            }
        );
}
