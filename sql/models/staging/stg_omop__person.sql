with source as (
    select * from omop.person
),

final as (
    select
        person_id,
        coalesce(
            cast(birth_datetime as date),
            cast(concat(
                cast(year_of_birth as varchar), '-',
                lpad(cast(coalesce(month_of_birth, 7) as varchar), 2, '0'), '-',
                lpad(cast(coalesce(day_of_birth, 1) as varchar), 2, '0')
            ) as date)
        ) as birth_date,
        gender_concept_id,
        gender_source_value,
        race_concept_id,
        race_source_value,
        ethnicity_concept_id,
        ethnicity_source_value,
        location_id,
        provider_id,
        care_site_id,
        person_source_value,
        source_id,
        pipeline_run_id
    from source
)

select * from final
