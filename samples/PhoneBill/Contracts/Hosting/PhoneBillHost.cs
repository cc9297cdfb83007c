using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Onggi;
using Onggi.AspNetCore;

namespace PhoneBill.Contracts;

/// <summary>What all PhoneBill services have in common.</summary>
public static class PhoneBillHost
{
    /// <summary>A host with Onggi, the database, sign-in, problem details, OpenAPI and health.</summary>
    /// <param name="args">The command line; <c>--PhoneBill:Settings FILE</c> adds a JSON file with shared settings, <c>--PhoneBill:OwnSettings FILE</c> one with this service's own.</param>
    /// <param name="service">The service's name in the catalog.</param>
    public static WebApplicationBuilder Create(string[] args, string service)
    {
        var builder = CreateBare(args);
        builder.Services.AddOnggi(
            builder.Configuration.GetSection("Onggi"),
            onggi =>
            {
                onggi.Service = service;
                onggi.Catalog = Catalog.Json;
                onggi.Json = PhoneBillJson.Readable;
                // Memory could keep values for minutes, as it hears of every change. The story shows both tiers, so here it lets go after a second.
                onggi.Cache.MemoryTtl = TimeSpan.FromSeconds(1);
                onggi.UsePhoneBillTokens(builder.Configuration);
                onggi.UseRedisPasswordFiles(builder.Configuration, service);
            }
        );
        builder.Services.AddOnggiHealthChecks();
        builder.Services.AddPhoneBillDatabase(builder.Configuration);
        builder.Services.AddKosClient(builder.Configuration);
        builder.Services.AddSingleton<CachedReads>();
        builder.Services.AddPhoneBillSignIn();
        return builder;
    }

    /// <summary>A host without Onggi: what the legacy system gets.</summary>
    public static WebApplicationBuilder CreateBare(string[] args)
    {
        var builder = WebApplication.CreateSlimBuilder(
            new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory }
        );
        if (builder.Configuration["PhoneBill:Settings"] is { } settings)
            builder.Configuration.AddJsonFile(settings, optional: false);
        // What only one service may know.
        if (builder.Configuration["PhoneBill:OwnSettings"] is { } own)
            builder.Configuration.AddJsonFile(own, optional: false);
        if (builder.Configuration.GetValue<bool>("PhoneBill:EndWithStandardInput"))
            builder.Services.AddHostedService<ParentWatch>();

        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(3));
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, PhoneBillJson.Default);
            json.SerializerOptions.RespectNullableAnnotations = true;
            json.SerializerOptions.RespectRequiredConstructorParameters = true;
        });
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddProblemDetails();
        builder.Services.AddExceptionHandler<PhoneBillExceptions>();
        builder.Services.AddOpenApi();
        return builder;
    }

    /// <summary>Builds the app, makes the database if it is new, and adds what every service answers: OpenAPI, health, metrics, warm-up.</summary>
    public static async Task<WebApplication> BuildPhoneBillAsync(this WebApplicationBuilder builder)
    {
        var app = builder.BuildBare();
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapOnggiHealth("/health");
        app.MapOnggiMetrics("/metrics");
        app.MapOnggiWarmUp().RequireAuthorization();
        await app.Services.GetRequiredService<IDbContextFactory<PhoneBillDb>>().EnsureSeededAsync(app.Lifetime.ApplicationStopping);
        return app;
    }

    /// <summary>Builds the app with what the legacy system answers too: problem details, timing, OpenAPI, a sign of life.</summary>
    public static WebApplication BuildBare(this WebApplicationBuilder builder)
    {
        var app = builder.Build();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.UseServerTiming();
        app.MapOpenApi();
        // For whoever restarts processes: it says only that this one answers. Whether Redis does is /health's to say, and no reason to restart us.
        app.MapGet("/healthz", () => "Healthy").ExcludeFromDescription();
        return app;
    }
}
