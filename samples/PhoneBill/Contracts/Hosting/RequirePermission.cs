using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace PhoneBill.Contracts;

public static class PermissionFilter
{
    /// <summary>Lets only users in who have the permission now: <c>permission.changed</c> drops the cached list everywhere.</summary>
    public static TBuilder RequirePermission<TBuilder>(this TBuilder endpoints, string permission)
        where TBuilder : IEndpointConventionBuilder =>
        endpoints.AddEndpointFilter(
            async (call, next) =>
            {
                var reads = call.HttpContext.RequestServices.GetRequiredService<CachedReads>();
                var user = call.HttpContext.User.Identity?.Name ?? "";
                var permissions = await reads.PermissionsAsync(user, call.HttpContext.RequestAborted);
                return permissions.Value?.Granted.Contains(permission) == true
                    ? await next(call)
                    : TypedResults.Problem(
                        $"This needs the permission '{permission}', which {user} does not have.",
                        title: "Not allowed",
                        statusCode: StatusCodes.Status403Forbidden
                    );
            }
        );
}
