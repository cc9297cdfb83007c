namespace Onggi.Client;

/// <summary>Commands to and about the server. Each is one round trip.</summary>
public static class ServerCommands
{
    extension(RedisClient redis)
    {
        /// <summary>Asks for a sign of life. (PING)</summary>
        public ValueTask<string?> PingAsync(CancellationToken cancellationToken = default) =>
            redis.SendAsync(["PING"], ReplyParsers.Text, cancellationToken);

        /// <summary>The server's report, or one section of it, as <c>name:value</c> lines. (INFO)</summary>
        public ValueTask<string?> InfoAsync(string section = "default", CancellationToken cancellationToken = default) =>
            redis.SendAsync(["INFO", section], ReplyParsers.Text, cancellationToken);

        /// <summary>Sends a message to all who listen to the channel now; how many the server knows of. (PUBLISH)</summary>
        public ValueTask<long> PublishAsync(RedisArg channel, RedisArg payload, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["PUBLISH", channel, payload], ReplyParsers.Int64, cancellationToken);

        /// <summary>Sends a message to all who listen to a channel that belongs to a slot (<see cref="RedisClient.SubscribeShardedAsync"/>); how many the server knows of. (SPUBLISH)</summary>
        public ValueTask<long> PublishShardedAsync(RedisArg channel, RedisArg payload, CancellationToken cancellationToken = default) =>
            redis.SendAsync(["SPUBLISH", channel, payload], ReplyParsers.Int64, cancellationToken);
    }
}
