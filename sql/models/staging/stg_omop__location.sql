with source as (
    select * from omop.location
),

final as (
    select
        location_id,
        city,
        state,
        zip as zip3,
        county,
        country_source_value as country,
        source_id,
        pipeline_run_id
    from source
)

select * from final
