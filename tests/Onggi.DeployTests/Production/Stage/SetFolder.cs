using System.Text;
using Onggi.Cli;
using Onggi.Cli.Deployment.Secrets;

namespace Onggi.DeployTests.Production;

/// <summary>What a replicated set is started from, made by the tool as for a cluster: the files of <c>onggi deploy files</c>, the Secrets of <c>onggi deploy secrets</c> as files.</summary>
internal sealed class SetFolder : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("onggi-set-");

    private SetFolder() { }

    /// <summary>Where all of it is; it goes with us.</summary>
    public string Root => _root.FullName;

    /// <summary>The catalog of the sample.</summary>
    public static string Catalog => Path.Combine(RepositoryRoot(), "samples", "PhoneBill", "keyspace.json");

    public string Config => PathOf("config");

    public string Acl => PathOf("acl");

    public string Tls => PathOf("tls");

    public string Authority => Path.Combine(Tls, "ca.crt");

    /// <summary>The passwords, a file for each user: as <c>onggi verify --secrets</c> wants them, too.</summary>
    public string Passwords => PathOf("passwords");

    public static async Task<SetFolder> MakeAsync()
    {
        var folder = new SetFolder();
        try
        {
            await ToolAsync("deploy", "files", "--environment", "production", "--catalog", Catalog, "--out", folder.Config);
            var manifests = await ToolAsync("deploy", "secrets", "--environment", "production", "--catalog", Catalog, "--new");
            foreach (var secret in Parse(manifests))
                folder.Write(secret);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public string PathOf(string name) => Path.Combine(Root, name);

    public string PasswordOf(string user) => File.ReadAllText(Path.Combine(Passwords, user));

    public string PasswordFileOf(string user) => Path.Combine(Passwords, user);

    /// <summary>Another certificate of the same authority, in the place of the present one, as when a renewed Secret reaches a pod.</summary>
    public void Renew(TimeSpan life)
    {
        var authority = new CertificatePair(File.ReadAllText(Authority), File.ReadAllText(Path.Combine(Tls, "authority.key")));
        var pair = Certificates.Sign(authority, "redis", ["localhost", "127.0.0.1", "::1"], TimeProvider.System.GetUtcNow(), life);
        File.WriteAllText(Path.Combine(Tls, "tls.crt"), pair.Certificate);
        File.WriteAllText(Path.Combine(Tls, "tls.key"), pair.Key);
    }

    public void Dispose()
    {
        if (_root.Exists)
            _root.Delete(recursive: true);
    }

    /// <summary>The Secrets of manifests, in the plain way in which they are written.</summary>
    public static IReadOnlyList<KubernetesSecret> Parse(string manifests) => [.. manifests.Split("---\n").Select(ParseOne)];

    /// <summary>Runs the tool in this process.</summary>
    /// <returns>What it wrote.</returns>
    public static async Task<string> ToolAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await OnggiTool.RunAsync(args, output, error);
        return code == OnggiTool.Ok
            ? output.ToString()
            : throw new InvalidOperationException($"onggi {string.Join(' ', args)}: {error}{output}");
    }

    private static KubernetesSecret ParseOne(string manifest)
    {
        var lines = manifest.Split('\n');
        string After(string start) => lines.First(line => line.StartsWith(start, StringComparison.Ordinal))[start.Length..];
        var data = lines
            .SkipWhile(line => line != "data:")
            .Skip(1)
            .Where(line => line.Length > 0)
            .Select(line => line.Trim().Split(": "))
            .ToDictionary(pair => pair[0], pair => Convert.FromBase64String(pair[1]), StringComparer.Ordinal);
        return new KubernetesSecret(After("  name: "), After("type: "), data);
    }

    private void Write(KubernetesSecret secret)
    {
        const string User = "redis-credentials-";
        switch (secret.Name)
        {
            case SecretPlan.AclName:
                WriteAll(Acl, secret);
                break;
            case SecretPlan.TlsName:
                WriteAll(Tls, secret);
                break;
            case SecretPlan.AuthorityName:
                Directory.CreateDirectory(Tls);
                File.WriteAllBytes(Path.Combine(Tls, "authority.key"), secret.Data["tls.key"]);
                break;
            case SecretPlan.SentinelName:
                WritePassword("sentinel-client", secret);
                break;
            case var name when name.StartsWith(User, StringComparison.Ordinal):
                WritePassword(name[User.Length..], secret);
                break;
        }
    }

    private void WritePassword(string user, KubernetesSecret secret)
    {
        Directory.CreateDirectory(Passwords);
        File.WriteAllText(PasswordFileOf(user), Encoding.UTF8.GetString(secret.Data["password"]));
    }

    private static void WriteAll(string folder, KubernetesSecret secret)
    {
        Directory.CreateDirectory(folder);
        foreach (var (key, bytes) in secret.Data)
            File.WriteAllBytes(Path.Combine(folder, key), bytes);
    }

    /// <summary>The repository's root: the first folder upwards that holds the solution.</summary>
    public static string RepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Onggi.slnx")))
                return folder.FullName;
        throw new InvalidOperationException("This runs from inside the repository.");
    }
}
