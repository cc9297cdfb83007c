using System.Globalization;
using System.Text;
using Onggi.Cli.Access;
using Onggi.Cli.Configuration;
using Onggi.Keys;

namespace Onggi.Cli.Deployment.Files;

/// <summary>sentinel.conf from the catalog: every line with its reason.</summary>
internal static class SentinelPlan
{
    /// <summary>The file's text. The name of the primary is the system's.</summary>
    /// <param name="keyspace">The catalog, bound to the environment.</param>
    /// <param name="terms">Where the servers' files lie; the port is the Sentinels'.</param>
    public static string Text(Keyspace keyspace, ConfTerms terms)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"# sentinel.conf of {keyspace.System}, {keyspace.Environment}: made by {DeployFiles.MadeBy}. Redis 7.0 or later.\n"
        );
        text.Append("# Whom it watches, under which names it is known, and passwords are written by sentinel-entry.sh when it starts.\n");
        foreach (var (heading, settings) in Sections(keyspace.System, terms))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n# {heading}\n");
            foreach (var setting in settings)
                text.Append(CultureInfo.InvariantCulture, $"\n# {setting.Reason}\n{setting.Name} {setting.Value}\n");
        }

        return text.ToString();
    }

    private static IEnumerable<(string Heading, IReadOnlyList<ConfPlan.Setting> Settings)> Sections(string name, ConfTerms terms) =>
        [
            ("Network", [.. Network(terms)]),
            ("Who may do what", [.. Access(name, terms)]),
            ("When a primary is replaced", [.. Failover(name)]),
            (
                "What can be seen",
                [
                    new("loglevel", "notice", "Who was missed, who was chosen."),
                    new("dir", terms.Directory, "Where it writes: its own file, with what it has learnt."),
                ]
            ),
        ];

    private static IEnumerable<ConfPlan.Setting> Network(ConfTerms terms)
    {
        var tls = terms.TlsDirectory;
        yield return new("bind", terms.Bind, "Where it listens. A minus sign lets it start where there is no such address.");
        yield return new("port", "0", "No way in without TLS.");
        yield return new("tls-port", $"{terms.Port}", "The only port.");
        yield return new(
            "tls-cert-file",
            $"{tls}/tls.crt",
            "A renewed one is read at the next start only: start the Sentinels anew, one after the other."
        );
        yield return new("tls-key-file", $"{tls}/tls.key", "As above.");
        yield return new("tls-ca-cert-file", $"{tls}/ca.crt", "Who signs the certificates of the others.");
        yield return new("tls-auth-clients", "optional", "Users log in by password; who has a certificate may show it.");
        yield return new("tls-protocols", "\"TLSv1.2 TLSv1.3\"", "Nothing older.");
        yield return new("tls-replication", "yes", "So that it speaks TLS to the servers and to the other Sentinels.");
        yield return new("sentinel resolve-hostnames", "yes", "Pods keep their names and change their addresses.");
        yield return new("sentinel announce-hostnames", "yes", "Clients are told names, which certificates are made for.");
    }

    private static IEnumerable<ConfPlan.Setting> Access(string name, ConfTerms terms)
    {
        yield return new(
            "aclfile",
            terms.AclFile!,
            "Services may ask where the primary is; they start no failover. The default user is off."
        );
        yield return new("protected-mode", "yes", "Should the users ever be lost, only this machine gets in.");
        yield return new("sentinel sentinel-user", AccessPlan.Sentinel, "Who we are at the other Sentinels.");
        yield return new($"sentinel auth-user {name}", AccessPlan.Sentinel, "Who we are at the servers.");
        yield return new("sentinel deny-scripts-reconfig", "yes", "Nobody gives a running Sentinel a script to run.");
    }

    private static IEnumerable<ConfPlan.Setting> Failover(string name)
    {
        yield return new(
            $"sentinel down-after-milliseconds {name}",
            "5000",
            "Silent for so long, a primary is missed. Shorter, and a long pause of the machine is a failover."
        );
        yield return new(
            $"sentinel failover-timeout {name}",
            "15000",
            "An attempt that has not come about by then is made again after twice that."
        );
        yield return new(
            $"sentinel parallel-syncs {name}",
            "1",
            "One replica after the other copies from the new primary; the other one still answers reads."
        );
    }
}
