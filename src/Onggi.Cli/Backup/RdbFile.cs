using System.Globalization;
using Onggi.Client;

namespace Onggi.Cli.Backup;

/// <summary>RDB files: taken by redis-cli as a replica takes them, one moment for all keys; proven by being loaded.</summary>
internal static class RdbFile
{
    private const int ChecksumLength = 8;

    /// <summary>Length and the checksum that Redis writes at the end: what a proof is bound to.</summary>
    public static string SumOf(string path)
    {
        using var file = File.OpenRead(path);
        if (file.Length < ChecksumLength)
            return "";
        var checksum = new byte[ChecksumLength];
        file.Seek(-ChecksumLength, SeekOrigin.End);
        file.ReadExactly(checksum);
        return string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{Convert.ToHexStringLower(checksum)}");
    }

    /// <summary>Takes one.</summary>
    /// <exception cref="ToolException">There is no redis-cli; or it failed, and the message has its words.</exception>
    public static async Task TakeAsync(RedisClientOptions server, string path, CancellationToken cancellationToken)
    {
        var program =
            Programs.Find("redis-cli")
            ?? throw new ToolException(
                "there is no redis-cli on the PATH, which --rdb needs. Install it (Debian: apt-get install redis-tools)."
            );
        if (server.SentinelService is not null || server.Servers.Count > 1)
            throw new ToolException("--rdb takes one server: name the primary, or a replica, itself.");
        // It would be readable for all otherwise: redis-cli keeps the rights of a file that is there.
        File.Delete(path);
        await using (new FileStream(path, ArchiveFormat.Private(FileMode.CreateNew)).ConfigureAwait(false)) { }
        var (host, port) = server.Servers.Count == 1 ? (server.Servers[0].Host, server.Servers[0].Port) : (server.Host, server.Port);
        string[] arguments =
        [
            "-h",
            host,
            "-p",
            port.ToString(CultureInfo.InvariantCulture),
            .. server.User is { } user ? new[] { "--user", user } : [],
            .. Tls(server.Tls),
            "--rdb",
            path,
        ];
        // On a command line everybody on the machine would read it.
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        if (server.Password is { } password)
            environment["REDISCLI_AUTH"] = password;
        var (code, said) = await Programs.RunAsync(program, arguments, environment, cancellationToken).ConfigureAwait(false);
        if (code != 0 || new FileInfo(path).Length == 0)
            throw new ToolException(
                $"redis-cli --rdb failed: {said.Split('\n').LastOrDefault()} The user needs +psync +sync +replconf +ping (onggi acl show: backup)."
            );
    }

    /// <summary>Loads it into a scratch server.</summary>
    /// <param name="program">The redis-server to run.</param>
    /// <param name="path">The file.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ToolException">It is broken, or of a newer version.</exception>
    public static async Task<ScratchServer> LoadAsync(string program, string path, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
            throw new ToolException($"there is no file {path}.");
        // Quicker to say no than the server, and in better words; the server says it as well where this is not installed.
        var beside = Path.Combine(Path.GetDirectoryName(program) ?? "", "redis-check-rdb");
        if ((File.Exists(beside) ? beside : Programs.Find("redis-check-rdb")) is { } check)
        {
            var (code, said) = await Programs.RunAsync(check, [path], environment: null, cancellationToken).ConfigureAwait(false);
            if (code != 0)
                throw new BrokenBackupException(
                    $"the RDB {path} is broken: redis-check-rdb says: {Problem(said)}. Take another one; nothing was done with it."
                );
        }

        return await ScratchServer.StartAsync(program, path, time, cancellationToken).ConfigureAwait(false);
    }

    // The reason stands in the line behind the one that says that there is one.
    private static string Problem(string said)
    {
        var lines = said.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var at = Array.FindIndex(lines, line => line.Contains("ERROR", StringComparison.Ordinal));
        return at < 0 ? lines.LastOrDefault() ?? "nothing" : lines[Math.Min(at + 1, lines.Length - 1)];
    }

    private static IEnumerable<string> Tls(RedisTlsOptions? tls)
    {
        if (tls is null)
            yield break;
        yield return "--tls";
        foreach (
            var (option, value) in new[]
            {
                ("--cacert", tls.CertificateAuthorityFile),
                ("--cert", tls.ClientCertificateFile),
                ("--key", tls.ClientKeyFile ?? tls.ClientCertificateFile),
                ("--sni", tls.ServerName),
            }
        )
        {
            if (value is null)
                continue;
            yield return option;
            yield return value;
        }
    }
}
