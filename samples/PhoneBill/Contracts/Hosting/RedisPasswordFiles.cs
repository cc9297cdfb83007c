using Microsoft.Extensions.Configuration;
using Onggi;
using Onggi.Client;

namespace PhoneBill.Contracts;

/// <summary>Passwords that lie in files, as Kubernetes and Compose hand out secrets.</summary>
public static class RedisPasswordFiles
{
    /// <summary>
    /// Where <c>PhoneBill:RedisPasswordFile</c> names a file, this service logs in at Redis under its own name with what stands there; where <c>PhoneBill:SentinelPasswordFile</c> does, at the Sentinels.
    /// </summary>
    /// <remarks>Redis's is read at each connect: when the file changes, the next connection logs in with the new password, and nothing needs a restart. The Sentinels' is read once.</remarks>
    public static void UseRedisPasswordFiles(this OnggiOptions onggi, IConfiguration configuration, string service)
    {
        var (redis, sentinel) = (configuration["PhoneBill:RedisPasswordFile"], configuration["PhoneBill:SentinelPasswordFile"]);
        onggi.ConfigureClient = client =>
        {
            if (redis is not null)
                client.Credentials = async (_, cancellationToken) =>
                    new RedisCredentials(service, (await File.ReadAllTextAsync(redis, cancellationToken)).Trim());
            if (sentinel is not null)
                client.SentinelPassword = File.ReadAllText(sentinel).Trim();
        };
    }
}
