using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Spectre.Console;

namespace PhoneBill.Demo;

/// <summary>Redis, the services and KOS, all up; gone without a trace when it is disposed.</summary>
public sealed class Stage : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly RunDirectory _directory;
    private readonly List<ServiceProcess> _services = [];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(10) };

    private Stage(DemoOptions options)
    {
        Ports = new Ports(options.RedisPort, options.PortBase);
        _directory = RunDirectory.Create(options.KeepData);
        Directory = _directory.Path;
        Redis = new RedisServer(Ports.Redis, Directory);
    }

    public Ports Ports { get; }

    /// <summary>Database, logs and settings of this run; only its owner may enter it.</summary>
    public string Directory { get; }

    public RedisServer Redis { get; }

    public HttpClient Http => _http;

    public IReadOnlyList<ServiceProcess> Services => _services;

    /// <summary>Keys the personal parts of key names; made for this run, the same in all services.</summary>
    public string PersonalSecret { get; } = RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>The whole demonstration; its result is the exit code.</summary>
    public static async Task<int> RunAsync(DemoOptions options, CancellationToken cancellationToken)
    {
        new Ports(options.RedisPort, options.PortBase).EnsureFree();
        var console = ConsoleFor(options);
        var report = new Report(console);

        await using var stage = new Stage(options);
        var began = Stopwatch.GetTimestamp();
        await stage.StartAsync(console, cancellationToken);
        report.Started(stage, Stopwatch.GetElapsedTime(began));

        if (!options.NoStory)
        {
            await new Story(stage, report).TellAsync(cancellationToken);
            report.Close(await KeyList.ReadAsync(stage, cancellationToken));
        }

        report.ShowUrls(stage);
        if (options.Json)
            await report.WriteJsonAsync(Console.Out, stage);
        if (!options.Once)
        {
            console.MarkupLine("\nAll is up. [bold]Ctrl-C[/] ends it.");
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        }

        return report.AllAsTold ? 0 : 1;
    }

    /// <summary>The commands that a warm-up script would send: where each is answered, and its name.</summary>
    public IEnumerable<(int Port, string Name)> WarmUps =>
        [(Ports.Auth, "products"), (Ports.Auth, "codes"), (Ports.BillInquiry, "config"), (Ports.ProductChange, "available_products")];

    /// <summary>Every process that can run a warm-up: one of them has two replicas.</summary>
    public IEnumerable<(int Port, string Name)> WarmUpReplicas => [.. WarmUps, (Ports.BillInquiryReplica, "config")];

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_services.Select(service => service.DisposeAsync().AsTask()));
            await Redis.DisposeAsync();
            _http.Dispose();
        }
        finally
        {
            _directory.Dispose();
        }
    }

    private string OwnSettingsOf(string service) => Path.Combine(Directory, $"{service}.json");

    private static IAnsiConsole ConsoleFor(DemoOptions options)
    {
        if (!options.Json && !Console.IsOutputRedirected)
            return AnsiConsole.Console;

        // Nothing but the JSON may stand on standard output when it is asked for.
        var console = AnsiConsole.Create(
            new()
            {
                Out = new AnsiConsoleOutput(options.Json ? TextWriter.Null : Console.Out),
                Ansi = AnsiSupport.No,
                Interactive = InteractionSupport.No,
            }
        );
        console.Profile.Width = 160;
        return console;
    }

    private async Task StartAsync(IAnsiConsole console, CancellationToken cancellationToken)
    {
        if (!console.Profile.Capabilities.Interactive)
        {
            await StartAllAsync(
                async (what, work) =>
                {
                    console.WriteLine($"Starting {what}");
                    await work();
                },
                cancellationToken
            );
            return;
        }

        await console
            .Progress()
            .AutoClear(true)
            .Columns(new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left }, new ElapsedTimeColumn())
            .StartAsync(progress =>
                StartAllAsync(
                    async (what, work) =>
                    {
                        var task = progress.AddTask(Markup.Escape(what), maxValue: 1);
                        await work();
                        task.Increment(1);
                    },
                    cancellationToken
                )
            );
    }

    /// <summary>Redis first, then everything else at once; each piece of work is handed to <paramref name="show"/> with what to call it.</summary>
    private async Task StartAllAsync(Func<string, Func<Task>, Task> show, CancellationToken cancellationToken)
    {
        await show($"Redis on {Ports.Redis}", () => Redis.StartAsync(cancellationToken));
        await WriteSettingsAsync(cancellationToken);
        Start("kos", "Kos", Ports.Kos);
        Start("auth", "Auth", Ports.Auth, OwnSettingsOf("auth"));
        Start("users", "Users", Ports.Users, OwnSettingsOf("users"));
        Start("bill-inquiry", "BillInquiry", Ports.BillInquiry, OwnSettingsOf("bill-inquiry"));
        Start("bill-inquiry-replica", "BillInquiry", Ports.BillInquiryReplica, OwnSettingsOf("bill-inquiry"));
        Start("product-change", "ProductChange", Ports.ProductChange, OwnSettingsOf("product-change"));
        await Task.WhenAll(
            _services.Select(service =>
                show($"{service.Name} on {service.Url}", () => service.WaitUntilHealthyAsync(_http, cancellationToken))
            )
        );
    }

    private void Start(string name, string project, int port, string? ownSettings = null) =>
        _services.Add(ServiceProcess.Start(name, project, port, Directory, ownSettings));

    /// <summary>
    /// What all services share, and what each alone knows: who it is for Redis; Auth also, how to sign tokens and take refresh tokens. These are secrets, so they are in files
    /// of ours alone and not on a command line.
    /// </summary>
    private async Task WriteSettingsAsync(CancellationToken cancellationToken)
    {
        var database = Environment.GetEnvironmentVariable("ConnectionStrings__Database");
        var settings = new
        {
            Onggi = new { PersonalSecret },
            ConnectionStrings = new { Database = database ?? $"Data Source={Path.Combine(Directory, "phonebill.db")}" },
            Kos = new { BaseUrl = $"http://127.0.0.1:{Ports.Kos}" },
            Tokens = new { KeyFile = Path.Combine(Directory, "token.pub.pem") },
            PhoneBill = new { EndWithStandardInput = true },
        };
        var auth = new
        {
            Tokens = new { KeyFile = Path.Combine(Directory, "token.pem") },
            Onggi = new
            {
                ConnectionString = Redis.ConnectionOf("auth"),
                Tokens = new { RefreshSecret = RandomNumberGenerator.GetHexString(64) },
            },
        };
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await PrivateFile.WriteAsync(auth.Tokens.KeyFile, key.ExportPkcs8PrivateKeyPem(), cancellationToken);
        await PrivateFile.WriteAsync(settings.Tokens.KeyFile, key.ExportSubjectPublicKeyInfoPem(), cancellationToken);
        await PrivateFile.WriteAsync(OwnSettingsOf("auth"), JsonSerializer.Serialize(auth, Indented), cancellationToken);
        foreach (var service in (string[])["users", "bill-inquiry", "product-change"])
        {
            var own = new { Onggi = new { ConnectionString = Redis.ConnectionOf(service) } };
            await PrivateFile.WriteAsync(OwnSettingsOf(service), JsonSerializer.Serialize(own, Indented), cancellationToken);
        }

        await PrivateFile.WriteAsync(
            Path.Combine(Directory, "settings.json"),
            JsonSerializer.Serialize(settings, Indented),
            cancellationToken
        );
    }
}
