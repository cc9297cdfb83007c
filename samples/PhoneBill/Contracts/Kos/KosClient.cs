using System.Net;
using System.Net.Http.Json;
using System.Threading.RateLimiting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Onggi;
using Onggi.Keys;
using Onggi.Limits;

namespace PhoneBill.Contracts;

/// <summary>Asks KOS, the slow legacy system. It never waits long and never lets many callers wait: a KOS that hangs must not hang us. And all services together never ask more than KOS was promised.</summary>
public sealed class KosClient(HttpClient http, ConcurrencyLimiter places, OnggiLimits limits)
{
    /// <summary>The legacy system's bill of one line and month; <c>null</c> when it knows no such line.</summary>
    /// <exception cref="KosUnavailableException">KOS failed, did not answer in time, has too many calls from us already, or all it was promised to get have been made.</exception>
    public Task<KosResponse?> BillAsync(string lineNumber, string month, CancellationToken cancellationToken) =>
        AskAsync<KosResponse>(
            Keys.Kos("bill"),
            () => http.GetAsync($"/kos/lines/{lineNumber}/bills/{month}", cancellationToken),
            cancellationToken
        );

    /// <summary>Books another product for a line, from the running month on; <c>null</c> when KOS knows no such line.</summary>
    /// <exception cref="KosUnavailableException">KOS failed, did not answer in time, has too many calls from us already, or all it was promised to get have been made.</exception>
    public Task<KosReceipt?> ChangeProductAsync(string lineNumber, string productCode, CancellationToken cancellationToken) =>
        AskAsync<KosReceipt>(
            Keys.Kos("change"),
            () =>
                http.PostAsJsonAsync(
                    $"/kos/lines/{lineNumber}/product",
                    new KosProductChange(productCode),
                    PhoneBillJson.Default.KosProductChange,
                    cancellationToken
                ),
            cancellationToken
        );

    private async Task<T?> AskAsync<T>(LimitKey budget, Func<Task<HttpResponseMessage>> send, CancellationToken cancellationToken)
        where T : class
    {
        using var place = places.AttemptAcquire();
        if (!place.IsAcquired)
            throw new KosUnavailableException("KOS has as many calls from this service as we let it have.");
        var decision = await limits.TakeAsync(budget, cancellationToken: cancellationToken);
        if (!decision.Allowed)
            // Not waited for here: the caller can do that at no cost of ours.
            throw new KosUnavailableException("KOS has got all the calls that it was promised to get.")
            {
                RetryAfter = decision.RetryAfter,
            };

        try
        {
            using var response = await send();
            if (response.StatusCode == HttpStatusCode.NotFound)
                return null;
            if (!response.IsSuccessStatusCode)
                throw new KosUnavailableException($"KOS answered {(int)response.StatusCode}.");
            return (T?)await response.Content.ReadFromJsonAsync(typeof(T), PhoneBillJson.Default, cancellationToken);
        }
        catch (HttpRequestException e)
        {
            throw new KosUnavailableException("KOS cannot be reached.", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new KosUnavailableException($"KOS did not answer within {http.Timeout.TotalSeconds:0.#} s.", e);
        }
    }
}

/// <summary>KOS did not answer, and no cache had the answer.</summary>
public sealed class KosUnavailableException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>When it is worth while to ask again, where that is known.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

public sealed record KosProductChange(string ProductCode);

public sealed record KosReceipt(string ReceiptNo, string SvcNo, string ProdCd, string PreviousProdCd, string BillYm);

public static class KosRegistration
{
    // Two replicas ask for bills; while Redis is away each takes its half.
    private const int Replicas = 2;

    /// <summary>Registers <see cref="KosClient"/> with <c>Kos:BaseUrl</c>, <c>Kos:TimeoutSeconds</c> (2), <c>Kos:MaxCalls</c> (16 at a time from this process), and what all services together may ask: <c>Kos:PerSecond</c> (10) and <c>Kos:PerDay</c> (1,000) of each kind.</summary>
    public static void AddKosClient(this IServiceCollection services, IConfiguration configuration)
    {
        var (perSecond, perDay) = (configuration.GetValue("Kos:PerSecond", 10), configuration.GetValue("Kos:PerDay", 1_000));
        services.Configure<OnggiOptions>(onggi =>
            onggi.Limits.ForFamily(
                "kos",
                policy =>
                {
                    (policy.FailMode, policy.Nodes) = (FailMode.Local, Replicas);
                    // Who asks a system that takes most of a second can wait for one.
                    policy.Timeout = TimeSpan.FromSeconds(1);
                    // Both or none: a call that the second denies costs nothing of the day.
                    policy
                        .With(LimitRule.Even(perSecond, TimeSpan.FromSeconds(1), burst: 2 * perSecond))
                        .With(LimitRule.Fixed(perDay, TimeSpan.FromDays(1)));
                }
            )
        );
        services.AddSingleton(_ => new ConcurrencyLimiter(
            new() { PermitLimit = configuration.GetValue("Kos:MaxCalls", 16), QueueLimit = 0 }
        ));
        services.AddSingleton(_ => new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            BaseAddress = new Uri(configuration["Kos:BaseUrl"] ?? "http://127.0.0.1:8090"),
            Timeout = TimeSpan.FromSeconds(configuration.GetValue("Kos:TimeoutSeconds", 2.0)),
        });
        services.AddSingleton<KosClient>();
    }

    /// <summary>The name of one question to KOS: the same question has the same name, so its answer can be found again.</summary>
    public static string RequestId(string lineNumber, string month) => $"bill-{lineNumber}-{month}";
}
