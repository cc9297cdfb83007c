namespace PhoneBill.Demo;

/// <summary>The tool that comes with Redis: a client in any other language would do as well.</summary>
internal static class RedisCli
{
    /// <exception cref="DemoException">redis-cli is not installed.</exception>
    public static async Task<string> GetAsync(int port, string password, string key, CancellationToken cancellationToken)
    {
        var start = Programs.Piped("redis-cli", "-h", "127.0.0.1", "-p", $"{port}", "--user", RedisServer.Operator, "--raw", "GET", key);
        // Not -a: a command line can be read by everybody on the machine.
        start.Environment["REDISCLI_AUTH"] = password;
        using var process = Programs.Start(start, "It comes with redis-server (Debian: redis-tools).");
        var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return output.TrimEnd('\n');
    }
}
